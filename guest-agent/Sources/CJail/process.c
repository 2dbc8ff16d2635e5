#include "room.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// Programs that go by select(2), or close all that they may have, count on the kernel's own soft limit.
enum { SOFT_FILES = 1024 };

int room_set_limits(const struct cjail_plan *plan, uint32_t *failed) {
    struct rlimit files;
    *failed = 0;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) return -1;
    if (files.rlim_cur > SOFT_FILES) files.rlim_cur = SOFT_FILES;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0) return -1;
    for (size_t i = 0; i < plan->limit_count; i++) {
        const struct cjail_limit *limit = &plan->limits[i];
        struct rlimit value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
        *failed = (uint32_t)i;
        if (setrlimit((__rlimit_resource_t)limit->resource, &value) < 0) return -1;
    }
    return 0;
}

static int drop_bounding(uint64_t keep) {
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (keep & (1ull << cap)) continue;
        // Those that the kernel doesn't know end the list.
        if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) < 0) return errno == EINVAL ? 0 : -1;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) return -1;
    }
    return 0;
}

static int set_capabilities(const struct cjail_plan *plan) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (int half = 0; half < 2; half++) {
        data[half].effective = (uint32_t)(plan->effective >> (32 * half));
        data[half].permitted = (uint32_t)(plan->permitted >> (32 * half));
        data[half].inheritable = (uint32_t)(plan->inheritable >> (32 * half));
    }
    if (syscall(SYS_capset, &header, data) < 0) return -1;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -1;
    for (unsigned long cap = 0; cap < 64; cap++) {
        if (!(plan->ambient & (1ull << cap))) continue;
        // Without the capability among the permitted and inheritable ones the kernel refuses; runc goes on then.
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM && errno != EINVAL) return -1;
    }
    return 0;
}

static int enter_cwd(const char *cwd) {
    if (chdir(cwd) < 0) return -1;
    // A directory that lies outside of the root shows as "(unreachable)/…".
    char path[PATH_MAX];
    if (syscall(SYS_getcwd, path, sizeof path) < 0 || path[0] != '/') return room_fail(ENOENT);
    return 0;
}

// The container's user owns its stdio, as with runc: else /dev/stdout can't be opened again by a user who isn't root.
static int own_stdio(uint32_t uid) {
    for (int fd = 0; fd < 3; fd++) {
        struct stat status;
        if (fstat(fd, &status) < 0) return -1;
        if (status.st_uid == uid) continue;
        if (ROOM_IS_NULL(status)) continue;
        if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM && errno != EROFS) return -1;
    }
    return 0;
}

int room_load_filter(const struct cjail_plan *plan) {
    struct sock_fprog program = {.len = plan->filter_count, .filter = (struct sock_filter *)plan->filter};
    if (!program.len) return 0;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, plan->filter_flags, &program) == 0 ? 0 : -1;
}

int room_become(const struct cjail_plan *plan, uint32_t *step) {
    *step = CJAIL_STEP_CWD;
    // As root first, and if that is refused (a network file system, say), as the user.
    int entered = enter_cwd(plan->cwd);
    if (entered < 0 && errno != EACCES && errno != EPERM) return -1;

    *step = CJAIL_STEP_CAPABILITIES;
    if (plan->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    // Without no_new_privs it takes a capability that may be gone in a moment; with it, it is the last step of all.
    *step = CJAIL_STEP_SECCOMP;
    if (!plan->no_new_privileges && room_load_filter(plan) < 0) return -1;
    *step = CJAIL_STEP_CAPABILITIES;
    if (drop_bounding(plan->bounding) < 0) return -1;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -1;

    *step = CJAIL_STEP_STDIO;
    if (own_stdio(plan->uid) < 0) return -1;

    // By number: glibc's wrappers would look for threads to tell.
    *step = CJAIL_STEP_GROUPS;
    if (syscall(SYS_setgroups, plan->group_count, plan->groups) < 0) return -1;
    *step = CJAIL_STEP_USER;
    if (syscall(SYS_setresgid, plan->gid, plan->gid, plan->gid) < 0) return -1;
    if (syscall(SYS_setresuid, plan->uid, plan->uid, plan->uid) < 0) return -1;

    *step = CJAIL_STEP_CWD;
    if (entered < 0 && enter_cwd(plan->cwd) < 0) return -1;

    *step = CJAIL_STEP_CAPABILITIES;
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0) return -1;
    return set_capabilities(plan);
}

static const char *variable(char *const *environment, const char *name) {
    size_t length = strlen(name);
    const char *value = NULL;
    // The last one counts, as with runc.
    for (; *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            value = *environment + length + 1;
        }
    }
    return value;
}

// The sixth field of the user's line in the container's /etc/passwd; 0 if there is none.
static int home_of(uint32_t uid, char *home, size_t size) {
    int fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat status;
    if (fd < 0) return 0;
    FILE *file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? fdopen(fd, "r") : NULL;
    if (!file) {
        close(fd);
        return 0;
    }
    char line[4096];
    int found = 0;
    while (!found && fgets(line, sizeof line, file)) {
        char *rest = line, *field[6];
        size_t count = 0;
        while (count < 6 && rest) field[count++] = strsep(&rest, ":\n");
        char *end = NULL;
        if (count < 6 || !*field[2]) continue;
        unsigned long number = strtoul(field[2], &end, 10);
        if (*end || number != uid || !*field[5]) continue;
        snprintf(home, size, "%s", field[5]);
        found = 1;
    }
    fclose(file);
    return found;
}

int room_set_home(const struct cjail_plan *plan) {
    const char *given = variable(plan->environment, "HOME");
    if (given && *given) return 0;
    static char entry[4096 + 8] = "HOME=/";
    char home[4096];
    if (home_of(plan->uid, home, sizeof home)) snprintf(entry, sizeof entry, "HOME=%s", home);
    char **at = plan->environment;
    while (*at && strncmp(*at, "HOME=", 5) != 0) at++;
    *at = entry;
    return 0;
}

// As Go's exec.LookPath has it: a file, and the process may execute it.
static int executable(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0) return -1;
    if (S_ISDIR(status.st_mode)) return room_fail(EISDIR);
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0) return 0;
    // EPERM is the answer of a filter that is older than faccessat2(2); what may really not be executed is EACCES.
    if (errno != ENOSYS && errno != EPERM) return -1;
    return status.st_mode & 0111 ? 0 : room_fail(EACCES);
}

const char *room_find_program(const struct cjail_plan *plan, char *buffer) {
    const char *name = plan->arguments[0];
    if (!name || !*name) {
        errno = ENOENT;
        return NULL;
    }
    if (strchr(name, '/')) return executable(name) == 0 ? name : NULL;
    const char *path = variable(plan->environment, "PATH");
    while (path) {
        const char *end = strchrnul(path, ':');
        int length = (int)(end - path);
        // An empty entry is the current directory.
        int written = length ? snprintf(buffer, PATH_MAX, "%.*s/%s", length, path, name)
                             : snprintf(buffer, PATH_MAX, "./%s", name);
        if (written > 0 && written < PATH_MAX && executable(buffer) == 0) return buffer;
        path = *end ? end + 1 : NULL;
    }
    errno = ENOENT;
    return NULL;
}

void room_default_signals(void) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number <= 64; number++) {
        // By number: glibc keeps 32 and 33 to itself.
        struct {
            void (*handler)(int);
            unsigned long flags;
            void (*restorer)(void);
            uint64_t mask;
        } kernel = {.handler = standard.sa_handler};
        if (number != SIGKILL && number != SIGSTOP) syscall(SYS_rt_sigaction, number, &kernel, NULL, sizeof(uint64_t));
    }
    uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

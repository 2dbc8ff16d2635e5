#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024, PATH_ROOM = 4096 };

struct child {
    const struct cspawn_request *request;
    struct cspawn_failure *failure;
    pid_t parent;
    // Room for the renumbering of descriptors, allocated before the clone.
    int *moved;
};

// The child shares the caller's memory until it execs (CLONE_VM), so this is how it reports.
static int fail(struct child *child, int step, int index) {
    child->failure->code = errno;
    child->failure->step = step;
    child->failure->index = index;
    return -1;
}

static int make_parents(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        int made = mkdir(path, 0755);
        int code = errno;
        *at = '/';
        if (made < 0 && code != EEXIST) {
            errno = code;
            return -1;
        }
    }
    return 0;
}

// The flags of an existing mount, which a remount must repeat: some of them may be locked.
static unsigned long kept_flags(const char *path) {
    struct statvfs status;
    unsigned long flags = 0;
    if (statvfs(path, &status) < 0) return 0;
    if (status.f_flag & ST_NOSUID) flags |= MS_NOSUID;
    if (status.f_flag & ST_NODEV) flags |= MS_NODEV;
    if (status.f_flag & ST_NOEXEC) flags |= MS_NOEXEC;
    if (status.f_flag & ST_NOATIME) flags |= MS_NOATIME;
    if (status.f_flag & ST_NODIRATIME) flags |= MS_NODIRATIME;
    if (status.f_flag & ST_RELATIME) flags |= MS_RELATIME;
    return flags;
}

static int bind_one(struct child *child, int index) {
    const struct cspawn_bind *bind = &child->request->binds[index];
    char target[PATH_ROOM];
    int length = snprintf(target, sizeof target, "%s/%s", child->request->share_root, bind->target);
    if (length < 0 || (size_t)length >= sizeof target) {
        errno = ENAMETOOLONG;
        return fail(child, CSPAWN_BIND_TARGET, index);
    }
    struct stat status;
    if (stat(bind->source, &status) < 0) return fail(child, CSPAWN_BIND, index);
    if (make_parents(target) < 0) return fail(child, CSPAWN_BIND_TARGET, index);
    if (S_ISDIR(status.st_mode)) {
        if (mkdir(target, 0755) < 0 && errno != EEXIST) return fail(child, CSPAWN_BIND_TARGET, index);
    } else {
        int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) return fail(child, CSPAWN_BIND_TARGET, index);
        close(fd);
    }
    unsigned long flags = MS_BIND | (bind->recursive ? MS_REC : 0);
    if (mount(bind->source, target, NULL, flags, NULL) < 0) return fail(child, CSPAWN_BIND, index);
    if (bind->read_only) {
        unsigned long remount = MS_BIND | MS_REMOUNT | MS_RDONLY | kept_flags(target);
        if (mount(NULL, target, NULL, remount, NULL) < 0) return fail(child, CSPAWN_BIND_READ_ONLY, index);
    }
    return 0;
}

static int join_namespaces(struct child *child) {
    int process = (int)syscall(SYS_pidfd_open, child->request->namespaces_of, 0);
    if (process < 0) return fail(child, CSPAWN_NAMESPACE, 0);
    int joined = setns(process, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC);
    if (joined == 0) joined = mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
    if (joined < 0) fail(child, CSPAWN_NAMESPACE, 0);
    close(process);
    return joined;
}

static int make_share(struct child *child) {
    const struct cspawn_request *request = child->request;
    if (unshare(CLONE_NEWNS) < 0) return fail(child, CSPAWN_NAMESPACE, 0);
    // Nothing that is mounted here may reach the host; what the host mounts later may come in.
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) return fail(child, CSPAWN_NAMESPACE, 0);
    if (mount("kvm-share", request->share_root, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m") < 0)
        return fail(child, CSPAWN_SHARE_ROOT, 0);
    for (size_t i = 0; i < request->bind_count; i++)
        if (bind_one(child, (int)i) < 0) return -1;
    return 0;
}

// Two passes: first everything goes above the highest target, so that no target overwrites a source.
static int place_descriptors(struct child *child) {
    const struct cspawn_request *request = child->request;
    int highest = 2;
    for (size_t i = 0; i < request->descriptor_count; i++)
        if (request->descriptors[i].to > highest) highest = request->descriptors[i].to;
    for (size_t i = 0; i < request->descriptor_count; i++) {
        child->moved[i] = fcntl(request->descriptors[i].from, F_DUPFD_CLOEXEC, highest + 1);
        if (child->moved[i] < 0) return fail(child, CSPAWN_DESCRIPTORS, (int)i);
    }
    for (size_t i = 0; i < request->descriptor_count; i++)
        if (dup2(child->moved[i], request->descriptors[i].to) < 0) return fail(child, CSPAWN_DESCRIPTORS, (int)i);
    for (int fd = 0; fd <= highest; fd++) {
        int wanted = 0;
        for (size_t i = 0; i < request->descriptor_count; i++) wanted |= request->descriptors[i].to == fd;
        if (!wanted) close(fd);
    }
    if (syscall(SYS_close_range, highest + 1, ~0U, 0) < 0) return fail(child, CSPAWN_DESCRIPTORS, -1);
    return 0;
}

static void reset_signals(void) {
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        if (number == SIGKILL || number == SIGSTOP) continue;
        sigaction(number, &standard, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int run_child(void *argument) {
    struct child *child = argument;
    const struct cspawn_request *request = child->request;
    if (request->parent_death_signal) {
        prctl(PR_SET_PDEATHSIG, request->parent_death_signal);
        if (getppid() != child->parent) {
            errno = ESRCH;
            fail(child, CSPAWN_PARENT_GONE, 0);
            _exit(127);
        }
    }
    if (request->new_session && setsid() < 0) {
        fail(child, CSPAWN_SESSION, 0);
        _exit(127);
    }
    if (request->namespaces_of && join_namespaces(child) < 0) _exit(127);
    if (request->share_root && make_share(child) < 0) _exit(127);
    if (request->directory && chdir(request->directory) < 0) {
        fail(child, CSPAWN_DIRECTORY, 0);
        _exit(127);
    }
    if (request->no_new_privileges) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (place_descriptors(child) < 0) _exit(127);
    reset_signals();
    execve(request->path, request->arguments, request->environment);
    fail(child, CSPAWN_EXEC, 0);
    _exit(127);
}

pid_t cspawn_start(const struct cspawn_request *request, int *pidfd, struct cspawn_failure *failure) {
    memset(failure, 0, sizeof *failure);
    struct child child = {.request = request, .failure = failure, .parent = getpid()};
    child.moved = calloc(request->descriptor_count + 1, sizeof(int));
    void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (!child.moved || stack == MAP_FAILED) {
        fail(&child, CSPAWN_CLONE, 0);
        free(child.moved);
        return -1;
    }
    // No handler of the caller may run in the child, which shares its memory.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = clone(
        run_child, (char *)stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, pidfd);
    if (pid < 0) fail(&child, CSPAWN_CLONE, 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK_BYTES);
    free(child.moved);
    if (pid < 0) return -1;
    if (failure->step != 0) {
        close(*pidfd);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
        return -1;
    }
    return pid;
}

#include "room.h"

#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

// The statuses of a child that could not become the container's process; shells use the same two.
enum { NOT_FOUND = 127, NOT_EXECUTED = 126 };

int room_report(int sync, const struct cjail_report *report, int descriptor) {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = (void *)report, .iov_len = sizeof *report};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    ssize_t sent;
    do sent = sendmsg(sync, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

int cjail_receive(int socket, struct cjail_report *report, int *descriptor) {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = report, .iov_len = sizeof *report};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    *descriptor = -1;
    ssize_t got;
    do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0) return errno == ECONNRESET ? 0 : -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(header), sizeof(int));
    if (got == 0) return 0;
    if (got == sizeof *report) return 1;
    room_close(*descriptor);
    *descriptor = -1;
    return room_fail(EBADMSG);
}

_Noreturn void room_fail_step(int sync, enum cjail_step step, uint32_t op) {
    int code = errno;
    struct cjail_report report = {.kind = CJAIL_FAILED, .step = step, .op = op, .error = code};
    room_report(sync, &report, -1);
    _exit(step == CJAIL_STEP_LOOKUP && code == ENOENT ? NOT_FOUND : NOT_EXECUTED);
}

static uint64_t boot_time(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// pivot_root on the root itself: the old one lies on top of the new for a moment, and is unmounted from there.
static int enter_root(const struct cjail_plan *plan, int root) {
    if (fchdir(root) < 0) return -1;
    if (!(plan->namespaces & CLONE_NEWNS)) return chroot(".") < 0 || chdir("/") < 0 ? -1 : 0;
    if (syscall(SYS_pivot_root, ".", ".") < 0) return -1;
    if (umount2(".", MNT_DETACH) < 0) return -1;
    if (chdir("/") < 0) return -1;
    if (plan->root_propagation && mount(NULL, "/", NULL, plan->root_propagation, NULL) < 0) return -1;
    return 0;
}

// The descriptors that become 0, 1 and 2 are moved out of the way first: one may be another's number.
static int set_stdio(const struct cjail_plan *plan, int slave) {
    int fds[3];
    for (int i = 0; i < 3; i++) {
        int from = plan->terminal ? slave : plan->stdio[i];
        fds[i] = from >= 0 ? fcntl(from, F_DUPFD_CLOEXEC, 3) : open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fds[i] < 0) return -1;
        if (fds[i] < 3 && (fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3)) < 0) return -1;
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(fds[i], i) < 0) return -1;
    }
    return plan->terminal ? ioctl(0, TIOCSCTTY, 0) : 0;
}

// The container's own /dev/null, if it has one, in the place of the guest's: /proc/self/fd/0 then has a name inside.
static int reopen_null(const struct cjail_plan *plan) {
    for (int i = 0; i < 3; i++) {
        if (plan->terminal || plan->stdio[i] >= 0) continue;
        struct stat status;
        if (lstat("/dev/null", &status) < 0 || !ROOM_IS_NULL(status)) return 0;
        int null = open("/dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (null < 0) return 0;
        int result = dup2(null, i);
        room_close(null);
        if (result < 0) return -1;
    }
    return 0;
}

// Waits for the word to go on. The agent's end of file means that nobody wants this container any more.
static int wait_for_start(int sync) {
    char byte;
    ssize_t got;
    do got = read(sync, &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got == 0) _exit(NOT_EXECUTED);
    return got < 0 ? -1 : 0;
}

int room_move_from_stdio(int fd) { return fd < 0 || fd > 2 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3); }

int room_take_terminal(const struct cjail_plan *plan, int sync, int master, int slave) {
    if (set_stdio(plan, slave) < 0) room_fail_step(sync, CJAIL_STEP_STDIO, 0);
    if (!plan->terminal) return 0;
    struct cjail_report report = {.kind = CJAIL_TERMINAL};
    return room_report(sync, &report, master);
}

// What the process has behind its stdio, in order. They are moved out of the way first, as is `*sync`: one may be where
// another goes.
static int pass_descriptors(const struct cjail_plan *plan, int sync) {
    int moved[CJAIL_MOST_PASSED], first_free = 3 + (int)plan->passed_count;
    int other = sync < first_free ? fcntl(sync, F_DUPFD_CLOEXEC, first_free) : sync;
    if (other < 0) room_fail_step(sync, CJAIL_STEP_STDIO, 0);
    for (size_t i = 0; i < plan->passed_count; i++) {
        moved[i] = fcntl(plan->passed[i].fd, F_DUPFD_CLOEXEC, first_free);
        if (moved[i] < 0) room_fail_step(other, CJAIL_STEP_STDIO, 3 + (uint32_t)i);
    }
    for (size_t i = 0; i < plan->passed_count; i++) {
        if (dup2(moved[i], 3 + (int)i) < 0) room_fail_step(other, CJAIL_STEP_STDIO, 3 + (uint32_t)i);
        close(moved[i]);
    }
    return other;
}

// A directory is opened in a mount of its own: else ".." would lead to all that the guest has of the host.
static int open_passed(const struct cjail_passed *passed) {
    int flags = passed->flags | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
    struct stat status;
    if (lstat(passed->path, &status) < 0) return -1;
    if (!S_ISDIR(status.st_mode)) return open(passed->path, flags);
    int place = open(passed->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0) return -1;
    int tree = room_open_tree(place, 0);
    room_close(place);
    if (tree < 0) return -1;
    int fd = openat(tree, ".", flags);
    room_close(tree);
    return fd;
}

void room_open_passed(const struct cjail_plan *plan, int sync) {
    if (plan->passed_count > CJAIL_MOST_PASSED) {
        errno = E2BIG;
        room_fail_step(sync, CJAIL_STEP_STDIO, 0);
    }
    for (size_t i = 0; i < plan->passed_count; i++) {
        struct cjail_passed *passed = &plan->passed[i];
        if (passed->fd >= 0) continue;
        // The host made the name; a link would be somebody else's.
        passed->fd = room_move_from_stdio(open_passed(passed));
        if (passed->fd < 0) room_fail_step(sync, CJAIL_STEP_STDIO, 3 + (uint32_t)i);
        if (passed->offset && lseek(passed->fd, (off_t)passed->offset, SEEK_SET) < 0) {
            room_fail_step(sync, CJAIL_STEP_STDIO, 3 + (uint32_t)i);
        }
    }
}

_Noreturn void room_become_program(const struct cjail_plan *plan, int sync, struct cjail_report *report) {
    char program_path[PATH_MAX];
    uint32_t step = 0, index = 0;

    sync = pass_descriptors(plan, sync);
    // Really closed, and not at exec: while that looks for the program, a path through /proc/self/fd would lead out of the
    // container by any directory that is still open.
    unsigned first_other = 3u + (unsigned)plan->passed_count;
    if ((unsigned)sync > first_other) syscall(SYS_close_range, first_other, (unsigned)sync - 1, 0u);
    syscall(SYS_close_range, (unsigned)sync + 1, ~0u, 0u);
    if (reopen_null(plan) < 0) room_fail_step(sync, CJAIL_STEP_STDIO, 0);
    umask(plan->has_umask ? plan->umask : 022);
    room_set_home(plan);
    room_set_scheduling(plan, sync);
    if (room_set_limits(plan, &index) < 0) room_fail_step(sync, CJAIL_STEP_LIMITS, index);
    if (room_become(plan, &step) < 0) room_fail_step(sync, step, 0);
    const char *program = room_find_program(plan, program_path);
    if (!program) room_fail_step(sync, CJAIL_STEP_LOOKUP, 0);

    report->kind = CJAIL_READY;
    if (room_report(sync, report, -1) < 0 || wait_for_start(sync) < 0) room_fail_step(sync, CJAIL_STEP_SYNC, 0);
    // Nothing of ours may be left open in the container, whoever forgot a flag.
    syscall(SYS_close_range, first_other, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    if (plan->no_new_privileges && room_load_filter(plan) < 0) room_fail_step(sync, CJAIL_STEP_SECCOMP, 0);
    if (room_run_hooks(plan, &index) < 0) room_fail_step(sync, CJAIL_STEP_HOOK, index);
    execve(program, plan->arguments, plan->environment);
    room_fail_step(sync, CJAIL_STEP_EXEC, 0);
}

// The clocks of a time namespace are set before anybody is in it. Who made it is not, but for kernels where exec sees to it.
static void enter_time(const struct cjail_plan *plan, int sync) {
    if (unshare(CLONE_NEWTIME) < 0) room_fail_step(sync, CJAIL_STEP_NAMESPACES, 0);
    if (*plan->time_offsets && room_write_file("/proc/self/timens_offsets", plan->time_offsets) < 0) {
        room_fail_step(sync, CJAIL_STEP_TIME_OFFSETS, 0);
    }
    int namespace = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (namespace < 0 || setns(namespace, CLONE_NEWTIME) < 0) room_fail_step(sync, CJAIL_STEP_NAMESPACES, 0);
    close(namespace);
}

_Noreturn void room_run_child(const struct cjail_plan *plan, int sync) {
    struct cjail_report report = {0};

    room_default_signals();
    umask(0);
    // Who sends a signal to the agent's group must not hit the container, and a terminal needs a session leader.
    setsid();
    sync = room_move_from_stdio(sync);
    room_open_passed(plan, sync);
    // Every descriptor of the agent is closed on exec anyhow; none is to be left open while the image is touched, nor for a
    // process of the container to take.
    room_close_others(plan, -1, sync);
    if (plan->namespaces & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0) room_fail_step(sync, CJAIL_STEP_NAMESPACES, 0);

    // Of a helper's child it has been set.
    if (!plan->join_count && !room_has_user_namespace(plan)) room_set_oom_score(plan, sync);
    if (plan->namespaces & CLONE_NEWTIME) enter_time(plan, sync);
    // It is a copy of the agent, with what the agent knows of others.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

    int root = room_attach_rootfs(plan);
    if (root < 0) room_fail_step(sync, CJAIL_STEP_ROOTFS, 0);
    report.rootfs_mounted = boot_time();
    size_t early = plan->op_count - plan->late_count;
    for (size_t i = 0; i < early; i++) {
        if (room_run(plan, &plan->ops[i], root) < 0) room_fail_step(sync, CJAIL_STEP_OPERATION, (uint32_t)i);
    }

    int master = -1, slave = -1;
    if (plan->terminal && room_open_terminal(plan, root, &master, &slave) < 0) room_fail_step(sync, CJAIL_STEP_TERMINAL, 0);
    if (room_take_terminal(plan, sync, master, slave) < 0) room_fail_step(sync, CJAIL_STEP_SYNC, 0);
    // The session keyring of the container is its own, as with runc; a kernel without keys has none to share.
    syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
    // As runc: who starts in a directory that the image does not have gets it. What can't be made is told by chdir.
    room_close(room_open(root, plan->cwd, ROOM_DIRECTORY));
    for (size_t i = early; i < plan->op_count; i++) {
        if (room_run(plan, &plan->ops[i], root) < 0) room_fail_step(sync, CJAIL_STEP_OPERATION, (uint32_t)i);
    }
    if (plan->root_readonly) {
        struct room_mount_attr readonly = {.attr_set = ROOM_ATTR_RDONLY};
        if (room_set_attributes(root, 0, &readonly) < 0) room_fail_step(sync, CJAIL_STEP_ROOTFS, 0);
    }
    if (enter_root(plan, root) < 0) room_fail_step(sync, CJAIL_STEP_PIVOT, 0);
    close(root);
    room_become_program(plan, sync, &report);
}

static long clone_child(const struct cjail_plan *plan, uint64_t flags) {
    struct clone_args arguments = {.flags = flags, .exit_signal = SIGCHLD};
    if (plan->cgroup >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)plan->cgroup;
    }
    // Buffered output would be written twice.
    fflush(NULL);
    return syscall(SYS_clone3, &arguments, sizeof arguments);
}

pid_t cjail_spawn(const struct cjail_plan *plan, int sync) {
    if (plan->join_count > 0 || room_has_user_namespace(plan)) {
        long helper = clone_child(plan, 0);
        if (helper == 0) room_spawn_joined(plan, sync);
        return (pid_t)helper;
    }
    long pid = clone_child(plan, plan->namespaces & ~(uint64_t)ROOM_TAKEN_LATER);
    if (pid == 0) room_run_child(plan, sync);
    return (pid_t)pid;
}

// The cgroup is entered from out here: a cgroup namespace once joined, its border could not be crossed.
pid_t cjail_join(const struct cjail_plan *plan, int init, int sync) {
    long pid = clone_child(plan, 0);
    if (pid == 0) room_join(plan, init, sync);
    return (pid_t)pid;
}

#include "room.h"

#include <linux/sched.h>
#include <sys/prctl.h>

// A container in namespaces of another one, or a process beside a container's init. Its pid namespace can only be given to a child, and that child is to be the
// agent's: so there are two. The helper joins the namespaces, makes the process as a sibling of its own, says which pid
// it has, and leaves.

static int join(int init, uint64_t namespaces) {
    if (setns(init, (int)namespaces) == 0) return 0;
    if (errno != EINVAL) return -1;
    // One by one, where the kernel does not take them together.
    static const int kinds[] = {CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWNET, CLONE_NEWCGROUP, CLONE_NEWTIME,
                                CLONE_NEWPID, CLONE_NEWNS, CLONE_NEWUSER};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (namespaces & (uint64_t)kinds[i] && setns(init, kinds[i]) < 0) return -1;
    }
    return 0;
}

void room_close_others(const struct cjail_plan *plan, int init, int sync) {
    enum { OTHERS = 5, MOST = OTHERS + 16 + CJAIL_MOST_PASSED };
    int keep[MOST] = {sync, init, plan->stdio[0], plan->stdio[1], plan->stdio[2]};
    size_t count = OTHERS;
    for (size_t i = 0; i < plan->passed_count && count < MOST; i++) keep[count++] = plan->passed[i].fd;
    for (size_t i = 0; i < plan->join_count && count < MOST; i++) keep[count++] = plan->joins[i].init;
    unsigned from = 3;
    while (1) {
        unsigned next = ~0u;
        for (size_t i = 0; i < count; i++) {
            if (keep[i] >= (int)from && (unsigned)keep[i] < next) next = (unsigned)keep[i];
        }
        if (next == ~0u) break;
        if (next > from) syscall(SYS_close_range, from, next - 1, 0u);
        from = next + 1;
    }
    syscall(SYS_close_range, from, ~0u, 0u);
}

// Goes on as a sibling of this process, which says which pid it has and leaves.
static void hand_over(const struct cjail_plan *plan, int sync, uint64_t namespaces) {
    int go[2];
    char byte;
    ssize_t got;

    if (pipe2(go, O_CLOEXEC) < 0) room_fail_step(sync, CJAIL_STEP_SYNC, 0);
    struct clone_args arguments = {.flags = namespaces | CLONE_PARENT};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid < 0) room_fail_step(sync, CJAIL_STEP_NAMESPACES, 0);
    if (pid > 0) {
        uint32_t failed = 0;
        if (namespaces & CLONE_NEWUSER && room_write_maps(plan, (pid_t)pid, &failed) < 0) {
            int code = errno;
            kill((pid_t)pid, SIGKILL);
            errno = code;
            room_fail_step(sync, CJAIL_STEP_ID_MAPS, failed);
        }
        struct cjail_report report = {.kind = CJAIL_FORKED, .pid = (int32_t)pid};
        room_report(sync, &report, -1);
        _exit(0);
    }
    // Not before the helper has said who we are.
    close(go[1]);
    do got = read(go[0], &byte, 1);
    while (got < 0 && errno == EINTR);
    close(go[0]);
}

static _Noreturn void run_process(const struct cjail_plan *plan, int sync) {
    struct cjail_report report = {0};

    setsid();
    room_set_affinity(plan, sync, 1);
    int master = -1, slave = -1, root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) room_fail_step(sync, CJAIL_STEP_ROOTFS, 0);
    if (plan->terminal && room_open_second_terminal(plan, root, &master, &slave) < 0) {
        room_fail_step(sync, CJAIL_STEP_TERMINAL, 0);
    }
    room_close(root);
    if (room_take_terminal(plan, sync, master, slave) < 0) room_fail_step(sync, CJAIL_STEP_SYNC, 0);
    room_become_program(plan, sync, &report);
}

_Noreturn void room_join(const struct cjail_plan *plan, int init, int sync) {
    room_default_signals();
    umask(0);
    sync = room_move_from_stdio(sync);
    room_open_passed(plan, sync);
    room_close_others(plan, init, sync);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    room_set_oom_score(plan, sync);
    room_set_affinity(plan, sync, 0);
    // Before the mounts change: without a mount namespace of its own the container's root is one of ours.
    int root = -1;
    if (!(plan->namespaces & CLONE_NEWNS)) {
        root = open(plan->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0) room_fail_step(sync, CJAIL_STEP_ROOTFS, 0);
    }
    // The session keyring of the container goes with its init; this one has its own.
    syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
    if (room_has_user_namespace(plan)) room_give_stdio(plan);
    if (join(init, plan->namespaces) < 0) room_fail_step(sync, CJAIL_STEP_JOIN, 0);
    close(init);
    if (root >= 0 && (fchdir(root) < 0 || chroot(".") < 0)) room_fail_step(sync, CJAIL_STEP_ROOTFS, 0);
    room_close(root);
    if (room_has_user_namespace(plan)) room_become_inner_root(sync);
    if (chdir("/") < 0) room_fail_step(sync, CJAIL_STEP_ROOTFS, 0);

    hand_over(plan, sync, 0);
    run_process(plan, sync);
}

_Noreturn void room_spawn_joined(const struct cjail_plan *plan, int sync) {
    room_default_signals();
    umask(0);
    sync = room_move_from_stdio(sync);
    room_open_passed(plan, sync);
    room_set_oom_score(plan, sync);
    if (room_has_user_namespace(plan)) {
        room_give_stdio(plan);
        if (room_make_nodes(plan) < 0) room_fail_step(sync, CJAIL_STEP_NAMESPACES, 0);
    }
    room_close_others(plan, -1, sync);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    for (size_t i = 0; i < plan->join_count; i++) {
        if (join(plan->joins[i].init, plan->joins[i].namespaces) < 0) room_fail_step(sync, CJAIL_STEP_JOIN, (uint32_t)i);
        close(plan->joins[i].init);
    }
    // The cgroup namespace is taken later: its root is the cgroup that the process is in at that moment.
    hand_over(plan, sync, plan->namespaces & ~(uint64_t)ROOM_TAKEN_LATER);
    if (room_has_user_namespace(plan)) {
        room_become_inner_root(sync);
        // Who changes its user is not dumpable any more, and its own /proc files belong to the guest's root; of those it has
        // yet to write some.
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
    room_run_child(plan, sync);
}

#include "room.h"

// A user namespace: its root may do in the container's other namespaces what root of the guest may do in the guest's, and
// nothing outside of them. What has to be done outside is done before, by the helper.

int room_has_user_namespace(const struct cjail_plan *plan) {
    uint64_t all = plan->namespaces;
    for (size_t i = 0; i < plan->join_count; i++) all |= plan->joins[i].namespaces;
    return (all & CLONE_NEWUSER) != 0;
}

static int write_map(pid_t pid, const char *name, const char *lines) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return room_write_file(path, lines);
}

int room_write_maps(const struct cjail_plan *plan, pid_t pid, uint32_t *failed) {
    *failed = 0;
    if (write_map(pid, "uid_map", plan->uid_map) < 0) return -1;
    *failed = 1;
    return write_map(pid, "gid_map", plan->gid_map);
}

void room_become_inner_root(int sync) {
    if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0) {
        room_fail_step(sync, CJAIL_STEP_ID_MAPS, 2);
    }
}

void room_give_stdio(const struct cjail_plan *plan) {
    for (int i = 0; i < 3; i++) {
        // One that has no owner to change is nobody's loss.
        if (plan->stdio[i] >= 0 && fchown(plan->stdio[i], plan->stdio_owner, (gid_t)-1) < 0) continue;
    }
}

int room_make_nodes(const struct cjail_plan *plan) {
    char path[64];
    for (size_t i = 0; i < plan->op_count; i++) {
        if (plan->ops[i].kind == CJAIL_OP_DEVICE && room_make_node(&plan->ops[i], path, sizeof path) < 0) return -1;
    }
    return 0;
}

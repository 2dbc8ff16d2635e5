// What the files of this room share. Functions answer -1 and set errno.
#ifndef CJAIL_ROOM_H
#define CJAIL_ROOM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "CJail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

// The new mount API by number: glibc has wrappers from 2.36 on only, and linux/mount.h and sys/mount.h clash before.
#define ROOM_OPEN_TREE_CLONE 1u
#define ROOM_MOVE_EMPTY_PATHS 0x44u // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
#define ROOM_AT_RECURSIVE 0x8000u
#define ROOM_ATTR_RDONLY 1u

// Where nodes of the guest's are, for those who can't make any.
#define ROOM_NODES "/run/kvm/devices"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
// A cgroup namespace has its root where the process is when it is made; a time namespace is made with its clocks set.
#define ROOM_TAKEN_LATER (CLONE_NEWCGROUP | CLONE_NEWTIME)

#define ROOM_IS_NULL(status) (S_ISCHR((status).st_mode) && (status).st_rdev == makedev(1, 3))

struct room_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

static inline int room_open_tree(int fd, int recursive) {
    unsigned flags = ROOM_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | (recursive ? ROOM_AT_RECURSIVE : 0);
    return (int)syscall(SYS_open_tree, fd, "", flags);
}

static inline int room_move_mount(int mount, int target) {
    return (int)syscall(SYS_move_mount, mount, "", target, "", ROOM_MOVE_EMPTY_PATHS);
}

static inline int room_set_attributes(int fd, int recursive, struct room_mount_attr *attr) {
    unsigned flags = AT_EMPTY_PATH | (recursive ? ROOM_AT_RECURSIVE : 0);
    return (int)syscall(SYS_mount_setattr, fd, "", flags, attr, sizeof *attr);
}

static inline void room_close(int fd) {
    int code = errno;
    if (fd >= 0) close(fd);
    errno = code;
}

static inline int room_fail(int code) {
    errno = code;
    return -1;
}

// paths.c
enum room_make { ROOM_NOTHING, ROOM_FILE, ROOM_DIRECTORY };
// An O_PATH descriptor of `path` inside `root`. What is missing is made: directories, and at the end what `make` says.
int room_open(int root, const char *path, enum room_make make);
// The directory that holds the last part of `path`, made when missing; *name points into `path` and ends with it, or
// in `buffer` (PATH_MAX bytes).
int room_parent(int root, const char *path, char *buffer, const char **name);
// "/proc/self/fd/N", where system calls take a path and no descriptor. `buffer` has 32 bytes.
const char *room_fd_path(int fd, char *buffer);
int room_write_file(const char *path, const char *text);

// mounts.c, nodes.c, copyup.c: the operations
int room_attach_rootfs(const struct cjail_plan *plan);
int room_run(const struct cjail_plan *plan, const struct cjail_op *op, int root);
int room_bind_fd(int source, int target, int recursive);
int room_device(const struct cjail_op *op, int root);
int room_make_node(const struct cjail_op *op, char *path, size_t size);
int room_guest_devices(const struct cjail_op *op, int root);
int room_symlink(const struct cjail_op *op, int root);
int room_copy_up(const struct cjail_op *op, int root);

// terminal.c
int room_open_terminal(const struct cjail_plan *plan, int root, int *master, int *slave);

// terminal.c: as above, without /dev/console, which is that of the container's own terminal.
int room_open_second_terminal(const struct cjail_plan *plan, int root, int *master, int *slave);

// join.c
_Noreturn void room_join(const struct cjail_plan *plan, int init, int sync);
// A helper's way of cjail_spawn: joins what is to be joined, makes the child as its sibling, and leaves.
_Noreturn void room_spawn_joined(const struct cjail_plan *plan, int sync);

// Processes of the container will see this one: it holds nothing of the agent's from now on but what the plan names.
void room_close_others(const struct cjail_plan *plan, int init, int sync);

// user.c
int room_has_user_namespace(const struct cjail_plan *plan);
// Of the child `pid`, which waits for it. *failed says which map.
int room_write_maps(const struct cjail_plan *plan, pid_t pid, uint32_t *failed);
// To the root of the user namespace that this process is in.
void room_become_inner_root(int sync);
// While this process is still root of the guest: what the container's own root could not do.
void room_give_stdio(const struct cjail_plan *plan);
int room_make_nodes(const struct cjail_plan *plan);

// hooks.c
// Runs the startContainer hooks, one after the other; *failed says which one did not succeed, errno how (CJAIL_HOOK_…).
int room_run_hooks(const struct cjail_plan *plan, uint32_t *failed);

// CJail.c
_Noreturn void room_run_child(const struct cjail_plan *plan, int sync);
_Noreturn void room_fail_step(int sync, enum cjail_step step, uint32_t op);
int room_report(int sync, const struct cjail_report *report, int descriptor);
int room_move_from_stdio(int fd);
// The files that the process is to have open: while the share can be seen. Leaves when one can't be opened.
void room_open_passed(const struct cjail_plan *plan, int sync);
// The end of both ways: stdio, terminal, limits, user, and, when it is told so, exec.
int room_take_terminal(const struct cjail_plan *plan, int sync, int master, int slave);
_Noreturn void room_become_program(const struct cjail_plan *plan, int sync, struct cjail_report *report);

// process.c
int room_set_limits(const struct cjail_plan *plan, uint32_t *failed);
int room_become(const struct cjail_plan *plan, uint32_t *step);
int room_set_home(const struct cjail_plan *plan);
// The program's path in the container: in `buffer` (PATH_MAX bytes) or the argument itself; NULL and errno.
const char *room_find_program(const struct cjail_plan *plan, char *buffer);
void room_default_signals(void);
int room_load_filter(const struct cjail_plan *plan);

// scheduling.c: what of the process its namespaces have no say in. Leaves when a step fails.
void room_set_oom_score(const struct cjail_plan *plan, int sync);
void room_set_affinity(const struct cjail_plan *plan, int sync, int final);
void room_set_scheduling(const struct cjail_plan *plan, int sync);

#endif

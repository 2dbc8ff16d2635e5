#include "CSpawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <link.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Why this is C: it is a process that was forked and never executes anything.

enum { MOST_TREES = 4096, KILLED = 128 + SIGKILL };

// By number: glibc has no wrappers, and linux/mount.h clashes with sys/mount.h.
#define TREE_CLONE 1u
#define TREE_RECURSIVE 0x8000u
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#define MOVE_EMPTY_PATHS 0x44u
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define CONFIG_CREATE 6u
#define CONFIG_STRING 1u
#define ATTR_RDONLY 1u
#define ATTR_SAFE (2u | 4u | 8u) // nosuid, nodev, noexec

struct mount_attributes {
    uint64_t set, clear, propagation, namespace;
};

static int open_tree_at(const char *path, int recursive) {
    return (int)syscall(
        SYS_open_tree, AT_FDCWD, path, TREE_CLONE | O_CLOEXEC | (recursive ? TREE_RECURSIVE : 0));
}

static int attach(int tree, int target) {
    return (int)syscall(SYS_move_mount, tree, "", target, "", MOVE_EMPTY_PATHS);
}

static int make_file_system(const char *type, const char *key, const char *value, unsigned attributes) {
    int context = (int)syscall(SYS_fsopen, type, 1u /* FSOPEN_CLOEXEC */);
    if (context < 0) return -1;
    int mount = -1;
    if ((!key || syscall(SYS_fsconfig, context, CONFIG_STRING, key, value, 0) == 0)
        && syscall(SYS_fsconfig, context, CONFIG_CREATE, NULL, NULL, 0) == 0) {
        mount = (int)syscall(SYS_fsmount, context, 1u /* FSMOUNT_CLOEXEC */, attributes);
    }
    close(context);
    return mount;
}

static int open_in_root(int root, const char *path) {
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int attach_at(int root, int tree, const char *path) {
    int target = open_in_root(root, path);
    if (target < 0) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -1;
    int result = attach(tree, target);
    // A file on a directory, or the other way round: the guest knows what is meant, the host needn't.
    if (result < 0 && (errno == ENOTDIR || errno == EISDIR || errno == EINVAL)) result = 0;
    close(target);
    return result;
}

static int attach_trees(const struct cspawn_stand_in *request, int root, const int *trees) {
    for (size_t i = 0; i < request->tree_count; i++) {
        const struct cspawn_tree *tree = &request->trees[i];
        int mount = trees[i];
        if (!tree->source) mount = make_file_system("tmpfs", "size", "4k", ATTR_RDONLY | ATTR_SAFE);
        if (mount < 0) return -1;
        if (tree->source && tree->read_only) {
            struct mount_attributes readonly = {.set = ATTR_RDONLY};
            unsigned flags = AT_EMPTY_PATH | (tree->recursive ? AT_RECURSIVE : 0);
            if (syscall(SYS_mount_setattr, mount, "", flags, &readonly, sizeof readonly) < 0) return -1;
        }
        if (attach_at(root, mount, tree->target) < 0) return -1;
        close(mount);
    }
    return 0;
}

static int drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, none);
}

// The clocks of a time namespace are set before anybody is in it, and who makes one is not. `proc` is a mount that the
// container can't have touched.
static void enter_time(const char *offsets, int proc) {
    if (unshare(CLONE_NEWTIME) < 0) return;
    if (*offsets) {
        int file = openat(proc, "self/timens_offsets", O_WRONLY | O_CLOEXEC);
        size_t length = strlen(offsets);
        if (file < 0 || write(file, offsets, length) != (ssize_t)length) return;
        close(file);
    }
    int namespace = openat(proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (namespace < 0) return;
    setns(namespace, CLONE_NEWTIME);
    close(namespace);
}

// Those that the container has of its own, or of another one. The container's are in the guest: a host that has none for
// those who look here does not keep it from running. To join another's is another matter.
static int take_namespaces(const struct cspawn_stand_in *request, int proc) {
    if (request->new_cgroup) unshare(CLONE_NEWCGROUP);
    if (request->new_time) enter_time(request->time_offsets, proc);
    // The supervisor writes its maps: it may, and this process may not.
    if (request->new_user) unshare(CLONE_NEWUSER);
    if (request->join_user < 0) return 0;
    int result = setns(request->join_user, CLONE_NEWUSER);
    close(request->join_user);
    return result;
}

// To the container's place: its root, its volumes, a /proc of this pid namespace. Whoever enters the namespaces of this
// process, as podman's cp and top do, then finds the container and not the host.
static int enter(const struct cspawn_stand_in *request) {
    int trees[MOST_TREES];
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return CSPAWN_PLACE_ROOT;
    for (size_t i = 0; i < request->tree_count; i++) {
        trees[i] = -1;
        if (!request->trees[i].source) continue;
        trees[i] = open_tree_at(request->trees[i].source, request->trees[i].recursive);
        if (trees[i] < 0) return CSPAWN_PLACE_TREE;
    }
    int root = open_tree_at(request->rootfs, 1);
    int below = open(request->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || below < 0 || attach(root, below) < 0) return CSPAWN_PLACE_ROOT;
    close(below);
    if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) {
        return CSPAWN_PLACE_PIVOT;
    }
    if (attach_trees(request, root, trees) < 0) return CSPAWN_PLACE_TREE;
    // Whatever the container made there (set-id programs, devices): to those who come here from the host it is files.
    struct mount_attributes harmless = {.set = ATTR_SAFE};
    if (syscall(SYS_mount_setattr, root, "", AT_EMPTY_PATH | AT_RECURSIVE, &harmless, sizeof harmless) < 0) {
        return CSPAWN_PLACE_ROOT;
    }
    int proc = make_file_system("proc", NULL, NULL, ATTR_SAFE);
    if (proc < 0 || attach_at(root, proc, "proc") < 0) return CSPAWN_PLACE_PROC;
    close(root);
    int taken = take_namespaces(request, proc);
    close(proc);
    if (taken < 0) return CSPAWN_PLACE_NAMESPACES;
    return drop_capabilities() < 0 ? CSPAWN_PLACE_CAPABILITIES : 0;
}

static void say(int channel, const void *bytes, size_t count) {
    ssize_t sent;
    do sent = send(channel, bytes, count, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
}

// The supervisor's word; -1: it has none yet.
static void take(const struct cspawn_stand_in *request) {
    unsigned char message[2] = {0};
    ssize_t got;
    do got = recv(request->channel, message, sizeof message, 0);
    while (got < 0 && errno == EINTR);
    if (got <= 0) _exit(KILLED);
    if (message[0] == CSPAWN_IN_EXIT) _exit(message[1]);
    if (message[0] != CSPAWN_IN_ENTER) return;
    int step = enter(request);
    if (step == 0) {
        say(request->channel, (char[]){CSPAWN_IN_READY}, 1);
    } else {
        unsigned char failure[2 + sizeof(int)] = {CSPAWN_IN_FAILED, (unsigned char)step};
        int code = errno;
        memcpy(failure + 2, &code, sizeof code);
        say(request->channel, failure, sizeof failure);
    }
}

static void hand_on(const struct cspawn_stand_in *request, int signals) {
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo == SIGCHLD) {
        // Whoever was left here by those that entered the namespace.
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        return;
    }
    say(request->channel, (unsigned char[]){CSPAWN_IN_SIGNAL, (unsigned char)info.ssi_signo}, 2);
}

// `other` may be -1.
static void close_all_but(int kept, int other) {
    unsigned low = (unsigned)kept, high = (unsigned)kept;
    if (other >= 0 && other < kept) low = (unsigned)other;
    if (other > kept) high = (unsigned)other;
    if (low > 0) syscall(SYS_close_range, 0u, low - 1, 0u);
    if (high > low + 1) syscall(SYS_close_range, low + 1, high - 1, 0u);
    syscall(SYS_close_range, high + 1, ~0u, 0u);
}

static int release_segment(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
        uintptr_t begin = (info->dlpi_addr + segment->p_vaddr) & ~(uintptr_t)4095;
        madvise((void *)begin, info->dlpi_addr + segment->p_vaddr + segment->p_memsz - begin, MADV_DONTNEED);
    }
    return 0;
}

static _Noreturn void stand_in(const struct cspawn_stand_in *request) {
    for (size_t i = 0; i < request->join_count; i++) {
        if (setns(request->joins[i], 0) < 0) _exit(CSPAWN_NOT_JOINED);
    }
    close_all_but(request->channel, request->join_user);
    setsid();
    prctl(PR_SET_NAME, "kvm-runtime", 0, 0, 0);
    if (request->title) {
        memset(request->title, 0, request->title_room);
        size_t length = request->title_length;
        if (length >= request->title_room) length = request->title_room - 1;
        memcpy(request->title, request->title_text, length);
    }
    if (request->hostname && *request->hostname && !(request->joined & CLONE_NEWUTS)) sethostname(request->hostname, strlen(request->hostname));
    // Blocked ones wait to be read, also those that the first process of a pid namespace would else not get at all.
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    int signals = signalfd(-1, &all, SFD_CLOEXEC);
    if (signals < 0) _exit(KILLED);
    // It has the caller's memory, of which it needs next to nothing.
    dl_iterate_phdr(release_segment, NULL);
    struct pollfd waiting[2] = {{.fd = request->channel, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (1) {
        if (poll(waiting, 2, -1) < 0) continue;
        if (waiting[0].revents) take(request);
        if (waiting[1].revents) hand_on(request, signals);
    }
}

pid_t cspawn_stand_in(const struct cspawn_stand_in *request) {
    if (request->tree_count > MOST_TREES) {
        errno = E2BIG;
        return -1;
    }
    struct clone_args arguments = {
        .flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC,
        .exit_signal = SIGCHLD,
    };
    if (request->new_network) arguments.flags |= CLONE_NEWNET;
    arguments.flags &= ~(uint64_t)request->joined;
    fflush(NULL);
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid == 0) stand_in(request);
    return (pid_t)pid;
}

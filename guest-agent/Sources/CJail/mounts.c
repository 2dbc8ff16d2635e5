#include "room.h"

#include <net/if.h>
#include <sys/socket.h>

static int is_directory(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

// The recursive ones come last, as with runc: "rro" holds whatever else is said.
static int set_attributes(int fd, const struct cjail_op *op) {
    if (op->attr_set || op->attr_clear) {
        struct room_mount_attr attr = {.attr_set = op->attr_set, .attr_clr = op->attr_clear};
        if (room_set_attributes(fd, 0, &attr) < 0) return -1;
    }
    if (op->rattr_set || op->rattr_clear) {
        struct room_mount_attr attr = {.attr_set = op->rattr_set, .attr_clr = op->rattr_clear};
        if (room_set_attributes(fd, 1, &attr) < 0) return -1;
    }
    return 0;
}

// The clone is changed before anybody can see it, and only then attached.
static int attach(int tree, int target, const struct cjail_op *op) {
    return set_attributes(tree, op) < 0 ? -1 : room_move_mount(tree, target);
}

int room_bind_fd(int source, int target, int recursive) {
    int tree = room_open_tree(source, recursive);
    if (tree < 0) return -1;
    int result = room_move_mount(tree, target);
    room_close(tree);
    return result;
}

// A path below the share; what the share holds may be symlinks, and none leads out of it.
// With a slash in front it is below CJAIL_DISKS instead, where the agent has mounted the disks of the container.
static int open_shared(const struct cjail_plan *plan, const char *path) {
    int share = open(*path == '/' ? CJAIL_DISKS : plan->share, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (share < 0) return -1;
    int fd = room_open(share, path, ROOM_NOTHING);
    room_close(share);
    return fd;
}

int room_attach_rootfs(const struct cjail_plan *plan) {
    if (plan->namespaces & CLONE_NEWNS && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -1;
    int source = open_shared(plan, plan->rootfs);
    int target = open(plan->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int tree = -1, result = -1;
    if (source >= 0 && target >= 0) {
        if (is_directory(source)) {
            tree = room_open_tree(source, 1);
            if (tree >= 0) result = room_move_mount(tree, target);
        } else {
            errno = ENOTDIR;
        }
    }
    room_close(source);
    room_close(target);
    if (result < 0) {
        room_close(tree);
        return -1;
    }
    return tree;
}

static int bind_opened(int source, const struct cjail_op *op, int root) {
    if (source < 0) return -1;
    int tree = room_open_tree(source, op->option != 0);
    int target = tree < 0 ? -1 : room_open(root, op->target, is_directory(source) ? ROOM_DIRECTORY : ROOM_FILE);
    int result = target < 0 ? -1 : attach(tree, target, op);
    room_close(source);
    room_close(tree);
    room_close(target);
    return result;
}

static int open_node(const struct cjail_op *op) {
    char path[64];
    return room_make_node(op, path, sizeof path) < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
}

static int open_socket(const struct cjail_plan *plan, const char *name) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", plan->sockets, name);
    if (length < 0 || (size_t)length >= sizeof path) return room_fail(ENAMETOOLONG);
    return open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static int change(const struct cjail_op *op, int root) {
    if (!op->attr_set && !op->rattr_set && !op->attr_clear && !op->rattr_clear) return 0;
    int target = room_open(root, op->target, ROOM_NOTHING);
    if (target < 0) return -1;
    int result = set_attributes(target, op);
    room_close(target);
    return result;
}

static int propagate(const struct cjail_op *op, int root) {
    int target = room_open(root, op->target, ROOM_NOTHING);
    if (target < 0) return -1;
    struct room_mount_attr attr = {.propagation = op->flags & ~(uint64_t)MS_REC};
    int result = room_set_attributes(target, (op->flags & MS_REC) != 0, &attr);
    room_close(target);
    return result;
}

// A tmpfs has the mode of the directory that it hides, unless the options say another: as with runc, and else it
// would be open to everybody. Where there was none, it has the kernel's, 1777.
static int mount_over(const struct cjail_op *op, int target, int existed) {
    char path[32], data[4096 + 16];
    const char *options = op->data;
    struct stat status;
    if (existed && strcmp(op->type, "tmpfs") == 0) {
        if (fstat(target, &status) < 0) return -1;
        int length = snprintf(data, sizeof data, "mode=%04o,%s", status.st_mode & 07777, op->data);
        if (length < 0 || length > 4095) return room_fail(ENAMETOOLONG);
        if (!*op->data) data[length - 1] = 0;
        options = data;
    }
    return mount(op->source, room_fd_path(target, path), op->type, op->flags, options);
}

// Who has a user namespace and no cgroup namespace may not mount the hierarchy (EPERM), and nobody can mount it on itself
// (EBUSY), but both may see the one that is there, as with runc. Of its flags those of a mount have the numbers of its attributes.
static int see_cgroups(const struct cjail_op *op, int target) {
    int source = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC), tree = -1, result = -1;
    if (source < 0) return -1;
    struct room_mount_attr attr = {.attr_set = op->flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)};
    tree = room_open_tree(source, 0);
    if (tree >= 0 && room_set_attributes(tree, 0, &attr) == 0) result = room_move_mount(tree, target);
    room_close(source);
    room_close(tree);
    return result;
}

static int new_mount(const struct cjail_op *op, int root) {
    int target = room_open(root, op->target, ROOM_NOTHING);
    int existed = target >= 0;
    if (!existed) target = room_open(root, op->target, ROOM_DIRECTORY);
    if (target < 0) return -1;
    int result = mount_over(op, target, existed);
    if (result < 0 && (errno == EPERM || errno == EBUSY) && strcmp(op->type, "cgroup2") == 0) result = see_cgroups(op, target);
    room_close(target);
    return result < 0 ? -1 : change(op, root);
}

static int remount(const struct cjail_op *op, int root) {
    int target = room_open(root, op->target, ROOM_NOTHING);
    if (target < 0) return -1;
    char path[32];
    int result = mount(NULL, room_fd_path(target, path), NULL, op->flags | MS_REMOUNT, op->data);
    room_close(target);
    return result;
}

static int mask(const struct cjail_op *op, int root) {
    int target = room_open(root, op->target, ROOM_NOTHING);
    if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    char path[32];
    int result = -1;
    if (is_directory(target)) {
        result = mount("tmpfs", room_fd_path(target, path), "tmpfs", MS_RDONLY, "size=0k,nr_inodes=2");
    } else {
        // The guest's own null, not the container's: its image has no say in what a mask is made of.
        int null = open("/dev/null", O_PATH | O_CLOEXEC);
        if (null >= 0) result = room_bind_fd(null, target, 0);
        room_close(null);
    }
    room_close(target);
    return result;
}

static int make_readonly(const struct cjail_op *op, int root) {
    int target = room_open(root, op->target, ROOM_NOTHING);
    if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    struct cjail_op attributes = {.attr_set = ROOM_ATTR_RDONLY};
    int tree = room_open_tree(target, 1);
    int result = tree < 0 ? -1 : attach(tree, target, &attributes);
    room_close(tree);
    room_close(target);
    return result;
}

static int sysctl(const struct cjail_op *op) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "/proc/sys/%s", op->target);
    if (length < 0 || (size_t)length >= sizeof path) return room_fail(ENAMETOOLONG);
    return room_write_file(path, op->source);
}

static int loopback_up(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    strcpy(request.ifr_name, "lo");
    int result = ioctl(fd, SIOCSIFFLAGS, &request);
    room_close(fd);
    return result;
}

int room_run(const struct cjail_plan *plan, const struct cjail_op *op, int root) {
    switch (op->kind) {
    case CJAIL_OP_MOUNT: return new_mount(op, root);
    case CJAIL_OP_BIND: return bind_opened(open_shared(plan, op->source), op, root);
    case CJAIL_OP_SOCKET: return bind_opened(open_socket(plan, op->source), op, root);
    case CJAIL_OP_REMOUNT: return remount(op, root);
    case CJAIL_OP_ATTRIBUTES: return change(op, root);
    case CJAIL_OP_PROPAGATION: return propagate(op, root);
    case CJAIL_OP_DEVICE:
        return op->flags & CJAIL_DEVICE_MOUNTED ? bind_opened(open_node(op), op, root) : room_device(op, root);
    case CJAIL_OP_GUEST_DEVICES: return room_guest_devices(op, root);
    case CJAIL_OP_SYMLINK: return room_symlink(op, root);
    case CJAIL_OP_COPY_UP: return room_copy_up(op, root) < 0 ? -1 : change(op, root);
    case CJAIL_OP_MASK: return mask(op, root);
    case CJAIL_OP_READONLY: return make_readonly(op, root);
    case CJAIL_OP_SYSCTL: return sysctl(op);
    case CJAIL_OP_LOOPBACK: return loopback_up();
    case CJAIL_OP_HOSTNAME: return sethostname(op->source, strlen(op->source));
    case CJAIL_OP_DOMAINNAME: return setdomainname(op->source, strlen(op->source));
    default: return room_fail(EINVAL);
    }
}

#include "room.h"

// Where mknod is refused (a share whose server makes no devices), a node of the guest is mounted instead.
static int bind_device(const struct cjail_op *op, int root, int parent, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/run/kvm/devices");
    if (mkdir(path, 0700) < 0 && errno != EEXIST) return -1;
    snprintf(path, sizeof path, "/run/kvm/devices/%x-%u-%u", op->mode & S_IFMT, major(op->rdev), minor(op->rdev));
    if (mknod(path, op->mode, op->rdev) < 0 && errno != EEXIST) return -1;
    int file = openat(parent, name, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) return -1;
    close(file);
    int source = open(path, O_PATH | O_CLOEXEC);
    int target = room_open(root, op->target, ROOM_NOTHING);
    int result = source < 0 || target < 0 ? -1 : room_bind_fd(source, target, 0);
    room_close(source);
    room_close(target);
    return result;
}

int room_device(const struct cjail_op *op, int root) {
    char buffer[PATH_MAX];
    const char *name;
    int parent = room_parent(root, op->target, buffer, &name);
    if (parent < 0) return -1;
    int result = mknodat(parent, name, op->mode, op->rdev);
    if (result == 0) {
        result = fchownat(parent, name, op->uid, op->gid, AT_SYMLINK_NOFOLLOW);
        // chown clears set-id bits, and the umask is 0: the mode is right already.
    } else if (errno == EEXIST) {
        result = 0;
    } else if (errno == EPERM) {
        result = bind_device(op, root, parent, name);
    }
    room_close(parent);
    return result;
}

int room_symlink(const struct cjail_op *op, int root) {
    char buffer[PATH_MAX];
    const char *name;
    int parent = room_parent(root, op->target, buffer, &name);
    if (parent < 0) return -1;
    if (op->option) unlinkat(parent, name, 0);
    int result = symlinkat(op->source, parent, name);
    if (result < 0 && errno == EEXIST && !op->option) result = 0;
    room_close(parent);
    return result;
}

#include "room.h"

#include <dirent.h>

// A node of the guest's own.
int room_make_node(const struct cjail_op *op, char *path, size_t size) {
    if (mkdir(ROOM_NODES, 0711) < 0 && errno != EEXIST) return -1;
    snprintf(path, size, ROOM_NODES "/%x-%u-%u-%o", op->mode & S_IFMT, major(op->rdev), minor(op->rdev), op->mode & 07777);
    return mknod(path, op->mode, op->rdev) < 0 && errno != EEXIST ? -1 : 0;
}

// Where mknod is refused (a share whose server makes no devices, or a user namespace), that is mounted instead.
static int bind_device(const struct cjail_op *op, int root, int parent, const char *name) {
    char path[64];
    if (room_make_node(op, path, sizeof path) < 0) return -1;
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

// Whether a driver of the guest's has such a device.
static int is_present(uint32_t mode, dev_t device) {
    char path[64];
    const char *kind = S_ISBLK(mode) ? "block" : "char";
    if (!S_ISBLK(mode) && !S_ISCHR(mode)) return 1;
    snprintf(path, sizeof path, "/sys/dev/%s/%u:%u", kind, major(device), minor(device));
    return access(path, F_OK) == 0;
}

// Terminals are the container's own, of its devpts; its console is its terminal, if it has one.
static int is_left_out(const char *name, int depth) {
    static const char *const names[] = {"pts", "ptmx", "console", "tty", "shm", "mqueue"};
    for (size_t i = 0; depth == 0 && i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) return 1;
    }
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

// Takes both descriptors.
static int copy_nodes(int from, int to, int depth) {
    DIR *directory = from < 0 ? NULL : fdopendir(from);
    if (!directory) {
        room_close(from);
        room_close(to);
        return -1;
    }
    struct dirent *entry;
    int result = 0;
    while (result == 0 && (entry = readdir(directory))) {
        struct stat status;
        if (is_left_out(entry->d_name, depth)) continue;
        if (fstatat(from, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
        if (S_ISDIR(status.st_mode) && depth < 4) {
            if (mkdirat(to, entry->d_name, 0755) < 0 && errno != EEXIST) result = -1;
            int inner = openat(from, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            int target = openat(to, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (result == 0 && target >= 0) {
                result = copy_nodes(inner, target, depth + 1);
            } else {
                // A file, or a link, of that name is the container's own.
                room_close(inner);
                room_close(target);
            }
        } else if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
            if (mknodat(to, entry->d_name, status.st_mode, status.st_rdev) == 0) {
                result = fchownat(to, entry->d_name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
            } else if (errno != EEXIST && errno != EPERM) {
                result = -1;
            }
        }
    }
    int code = errno;
    closedir(directory);
    room_close(to);
    errno = code;
    return result;
}

int room_guest_devices(const struct cjail_op *op, int root) {
    int place = room_open(root, op->target, ROOM_DIRECTORY);
    if (place < 0) return -1;
    int to = openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    room_close(place);
    if (to < 0) return -1;
    return copy_nodes(open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC), to, 0);
}

// An empty file is what an earlier run has mounted the device on.
static int replace_existing(const struct cjail_op *op, int root, int parent, const char *name) {
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    if ((status.st_mode & S_IFMT) == (op->mode & S_IFMT) && (S_ISFIFO(op->mode) || status.st_rdev == op->rdev)) return 0;
    if (S_ISREG(status.st_mode) && status.st_size == 0) return bind_device(op, root, parent, name);
    return op->flags & CJAIL_DEVICE_EXACTLY ? room_fail(EEXIST) : 0;
}

int room_device(const struct cjail_op *op, int root) {
    if (op->option && !is_present(op->mode, op->rdev)) return 0;
    char buffer[PATH_MAX];
    const char *name;
    int parent = room_parent(root, op->target, buffer, &name);
    if (parent < 0) return -1;
    int result = mknodat(parent, name, op->mode, op->rdev);
    if (result == 0) {
        result = fchownat(parent, name, op->uid, op->gid, AT_SYMLINK_NOFOLLOW);
        // chown clears set-id bits, and the umask is 0: the mode is right already.
    } else if (errno == EEXIST) {
        result = replace_existing(op, root, parent, name);
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

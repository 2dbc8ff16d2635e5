#include "room.h"

#include <dirent.h>
#include <sys/sendfile.h>

// tmpcopyup: a tmpfs that begins with what the directory below it holds.

enum { DEEPEST = 64 };

static int copy_tree(int from, int to, int depth);

static int copy_bytes(int from, int to) {
    for (;;) {
        ssize_t sent = sendfile(to, from, NULL, 1 << 20);
        if (sent == 0) return 0;
        if (sent < 0 && errno != EINTR) return -1;
    }
}

static int copy_owner(int to, const char *name, const struct stat *status) {
    if (fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    if (!S_ISLNK(status->st_mode) && fchmodat(to, name, status->st_mode & 07777, 0) < 0) return -1;
    struct timespec times[2] = {status->st_atim, status->st_mtim};
    return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
}

static int copy_file(int from, int to, const char *name) {
    int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int target = source < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int result = target < 0 ? -1 : copy_bytes(source, target);
    room_close(source);
    room_close(target);
    return result;
}

static int copy_directory(int from, int to, const char *name, int depth) {
    if (mkdirat(to, name, 0700) < 0) return -1;
    int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int target = source < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = target < 0 ? -1 : copy_tree(source, target, depth + 1);
    room_close(source);
    room_close(target);
    return result;
}

static int copy_link(int from, int to, const char *name) {
    char link[PATH_MAX];
    ssize_t length = readlinkat(from, name, link, sizeof link - 1);
    if (length < 0) return -1;
    link[length] = 0;
    return symlinkat(link, to, name);
}

static int copy_entry(int from, int to, const char *name, int depth) {
    struct stat status;
    if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    int result;
    switch (status.st_mode & S_IFMT) {
    case S_IFREG: result = copy_file(from, to, name); break;
    case S_IFDIR: result = copy_directory(from, to, name, depth); break;
    case S_IFLNK: result = copy_link(from, to, name); break;
    case S_IFSOCK: return 0; // Nobody listens on a copy.
    default: result = mknodat(to, name, status.st_mode, status.st_rdev);
    }
    return result < 0 ? -1 : copy_owner(to, name, &status);
}

static int copy_tree(int from, int to, int depth) {
    if (depth > DEEPEST) return room_fail(ELOOP);
    int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = copy < 0 ? NULL : fdopendir(copy);
    if (!directory) {
        room_close(copy);
        return -1;
    }
    int result = 0;
    while (result == 0) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry) {
            result = errno ? -1 : 0;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        result = copy_entry(from, to, entry->d_name, depth);
    }
    int code = errno;
    closedir(directory);
    errno = code;
    return result;
}

int room_copy_up(const struct cjail_op *op, int root) {
    int below = room_open(root, op->target, ROOM_DIRECTORY);
    if (below < 0) return -1;
    char path[32];
    struct stat status;
    int result = fstat(below, &status);
    if (result == 0) result = mount(op->source, room_fd_path(below, path), op->type, op->flags, op->data);
    int above = result < 0 ? -1 : room_open(root, op->target, ROOM_NOTHING);
    // The mount hides the directory from paths, not from the descriptor.
    if (above >= 0) result = copy_tree(below, above, 0);
    else result = -1;
    // Its owner and mode too, where the options have not said them.
    if (result == 0 && !strstr(op->data, "uid=") && !strstr(op->data, "gid=")) {
        result = fchownat(above, "", status.st_uid, status.st_gid, AT_EMPTY_PATH);
    }
    if (result == 0 && !strstr(op->data, "mode=")) result = chmod(room_fd_path(above, path), status.st_mode & 07777);
    room_close(below);
    room_close(above);
    return result;
}

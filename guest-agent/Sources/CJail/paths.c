#include "room.h"

#include <linux/openat2.h>

enum { MOST_LINKS = 40 };

static int open_existing(int root, const char *path, uint64_t flags) {
    // An empty path is the root, as "/" is.
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    for (int tries = 0;; tries++) {
        int fd = (int)syscall(SYS_openat2, root, *path ? path : "/", &how, sizeof how);
        // EAGAIN: something was renamed meanwhile, and the kernel can't be sure of "..".
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || tries > 100) return fd;
    }
}

static int make_one(int parent, const char *name, enum room_make make) {
    if (make == ROOM_DIRECTORY) return mkdirat(parent, name, 0755);
    int fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0755);
    if (fd < 0) return -1;
    close(fd);
    return 0;
}

static int open_making(int root, const char *path, enum room_make make, int links);

// `prefix` (cut at `end`) is a symlink that leads nowhere: what it points to is made, and the rest below that.
static int through_dangling_link(
    int root, int parent, char *path, size_t name, size_t end, enum room_make make, int links) {
    if (links >= MOST_LINKS) return room_fail(ELOOP);
    char link[PATH_MAX], joined[PATH_MAX];
    char kept = path[end];
    path[end] = 0;
    ssize_t length = readlinkat(parent, path + name, link, sizeof link - 1);
    path[end] = kept;
    if (length < 0) return room_fail(ENOENT);
    link[length] = 0;
    int written = link[0] == '/' ? snprintf(joined, sizeof joined, "%s%s", link, path + end)
                                 : snprintf(joined, sizeof joined, "%.*s/%s%s", (int)name, path, link, path + end);
    if (written < 0 || (size_t)written >= sizeof joined) return room_fail(ENAMETOOLONG);
    return open_making(root, joined, make, links + 1);
}

static int open_making(int root, const char *wanted, enum room_make make, int links) {
    int fd = open_existing(root, wanted, O_PATH);
    if (fd >= 0 || errno != ENOENT || make == ROOM_NOTHING) return fd;

    char path[PATH_MAX];
    if (strlen(wanted) >= sizeof path) return room_fail(ENAMETOOLONG);
    strcpy(path, wanted);
    size_t at = 0;
    int parent = open_existing(root, "/", O_PATH | O_DIRECTORY);
    while (parent >= 0) {
        while (path[at] == '/') at++;
        size_t end = at;
        while (path[end] && path[end] != '/') end++;
        if (end == at) return parent;
        size_t rest = end;
        while (path[rest] == '/') rest++;
        enum room_make what = path[rest] ? ROOM_DIRECTORY : make;

        char kept = path[end];
        path[end] = 0;
        int next = open_existing(root, path, O_PATH);
        if (next < 0 && errno == ENOENT) {
            if (make_one(parent, path + at, what) == 0 || errno == EEXIST) next = open_existing(root, path, O_PATH);
            if (next < 0 && errno == ENOENT) {
                path[end] = kept;
                int found = through_dangling_link(root, parent, path, at, end, make, links);
                room_close(parent);
                return found;
            }
        }
        path[end] = kept;
        room_close(parent);
        parent = next;
        at = end;
    }
    return -1;
}

int room_open(int root, const char *path, enum room_make make) { return open_making(root, path, make, 0); }

int cjail_open_in_root(int root, const char *path, int make) { return room_open(root, path, (enum room_make)make); }

int room_parent(int root, const char *path, char *buffer, const char **name) {
    size_t length = strlen(path);
    if (length >= PATH_MAX) return room_fail(ENAMETOOLONG);
    strcpy(buffer, path);
    while (length > 0 && buffer[length - 1] == '/') buffer[--length] = 0;
    char *slash = strrchr(buffer, '/');
    const char *last = slash ? slash + 1 : buffer;
    if (!*last || strcmp(last, "..") == 0 || strcmp(last, ".") == 0) return room_fail(EINVAL);
    *name = last;
    if (!slash) return room_open(root, "/", ROOM_DIRECTORY);
    *slash = 0;
    return room_open(root, buffer, ROOM_DIRECTORY);
}

const char *room_fd_path(int fd, char *buffer) {
    snprintf(buffer, 32, "/proc/self/fd/%d", fd);
    return buffer;
}

int room_write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    size_t length = strlen(text);
    ssize_t written = write(fd, text, length);
    room_close(fd);
    if (written < 0) return -1;
    return (size_t)written == length ? 0 : room_fail(EIO);
}

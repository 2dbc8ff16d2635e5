// Folders: reading them while they change, large ones, nodes that are no files.
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

enum { MANY = 100000 };

// Each of 0..<count is there once; jumps back to a hundred places and finds there what it had found.
static void read_all(int count) {
    char *seen = calloc((size_t)count, 1);
    struct {
        long where;
        char name[256];
    } places[100];
    int marked = 0, total = 0;
    DIR *folder = opendir(".");
    must(folder != NULL && seen != NULL);
    for (;;) {
        long where = telldir(folder);
        errno = 0;
        struct dirent *entry = readdir(folder);
        must(entry || errno == 0);
        if (!entry) break;
        if (entry->d_name[0] == '.') continue;
        if (total++ % (count / 100) == 0 && marked < 100) {
            places[marked].where = where;
            snprintf(places[marked++].name, sizeof places->name, "%s", entry->d_name);
        }
        int number = atoi(entry->d_name);
        must(number >= 0 && number < count);
        must(!seen[number]++);
    }
    equal(total, count);
    for (int i = marked - 1; i >= 0; i -= 7) {
        seekdir(folder, places[i].where);
        struct dirent *entry = readdir(folder);
        must(entry && !strcmp(entry->d_name, places[i].name));
    }
    put_text("late", "");
    rewinddir(folder);
    int late = 0;
    for (struct dirent *entry; (entry = readdir(folder));) late += !strcmp(entry->d_name, "late");
    equal(late, 1);
    closedir(folder);
    free(seen);
}

// Two inodes with very many names: what a folder must bear, whatever it costs to know many inodes.
static void folder_of_100000_names(void) {
    char name[32];
    must(mkdir("names", 0755) == 0 && chdir("names") == 0);
    put_text("../even", "");
    put_text("../odd", "");
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%d", i);
        must(link(i % 2 ? "../odd" : "../even", name) == 0);
    }
    read_all(MANY);
}

static void folder_of_100000_files(void) {
    char name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%d", i);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        must(fd >= 0);
        close(fd);
    }
    read_all(MANY);
}

static void remove_while_reading(void) {
    char name[32];
    must(mkdir("f", 0755) == 0);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "f/%d", i);
        put_text(name, "");
    }
    int left = 5000;
    DIR *folder = opendir("f");
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        must(unlinkat(dirfd(folder), entry->d_name, 0) == 0);
        left--;
    }
    closedir(folder);
    equal(left, 0);
    must(rmdir("f") == 0);
}

static void entries_tell_kind_and_inode(void) {
    must(mkdir("d", 0755) == 0 && symlink("x", "l") == 0 && mkfifo("p", 0644) == 0);
    put_text("r", "");
    DIR *folder = opendir(".");
    int found = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (!strcmp(entry->d_name, "..")) continue;
        struct stat status;
        must(lstat(entry->d_name, &status) == 0);
        equal(entry->d_ino, status.st_ino);
        equal(entry->d_type, IFTODT(status.st_mode));
        found++;
    }
    equal(found, 5);
}

static void read_of_removed_folder(void) {
    must(mkdir("d", 0755) == 0);
    DIR *folder = opendir("d");
    int fd = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(rmdir("d") == 0);
    errno = 0;
    must(readdir(folder) == NULL && errno == 0);
    fails(ENOENT, openat(fd, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    fails(ENOENT, mkdirat(fd, "x", 0755));
    struct stat status;
    must(fstat(fd, &status) == 0);
    equal(status.st_nlink, 0);
}

static void folder_counts_its_folders(void) {
    struct stat status;
    must(mkdir("d", 0755) == 0 && mkdir("d/1", 0755) == 0 && mkdir("d/2", 0755) == 0);
    must(stat("d", &status) == 0);
    equal(status.st_nlink, 4);
    must(rmdir("d/1") == 0);
    must(stat("d", &status) == 0);
    equal(status.st_nlink, 3);
}

static void sync_of_folder(void) {
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_text("a", "a");
    must(fsync(fd) == 0);
    must(fdatasync(fd) == 0);
    must(syncfs(fd) == 0);
}

static void inotify_of_own_changes(void) {
    char events[4096];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    must(fd >= 0 && inotify_add_watch(fd, ".", IN_CREATE | IN_MOVED_TO | IN_DELETE) >= 0);
    put_text("a", "");
    must(rename("a", "b") == 0 && unlink("b") == 0);
    ssize_t length = read(fd, events, sizeof events);
    unsigned seen = 0;
    for (ssize_t at = 0; at < length;) {
        struct inotify_event *event = (struct inotify_event *)(events + at);
        seen |= event->mask;
        at += (ssize_t)(sizeof *event + event->len);
    }
    equal(seen, IN_CREATE | IN_MOVED_TO | IN_DELETE);
}

const struct check folder_checks[] = {
    CHECK(folder_of_100000_names),
    CHECK(remove_while_reading),
    CHECK(entries_tell_kind_and_inode),
    CHECK(read_of_removed_folder),
    CHECK(folder_counts_its_folders),
    CHECK(sync_of_folder),
    CHECK(inotify_of_own_changes),
    END,
};

// --- nodes ------------------------------------------------------------------------------------------------------------

static void node_kinds(void) {
    struct stat status;
    must(mknod("c", S_IFCHR | 0640, makedev(1, 3)) == 0);
    must(mknod("b", S_IFBLK | 0604, makedev(259, 70000)) == 0);
    must(mknod("p", S_IFIFO | 0600, 0) == 0);
    must(mknod("s", S_IFSOCK | 0666, 0) == 0);
    must(mknod("r", S_IFREG | 0644, 0) == 0);
    fails(EEXIST, mknod("r", S_IFREG | 0644, 0));
    must(stat("c", &status) == 0);
    must(S_ISCHR(status.st_mode));
    equal(status.st_rdev, makedev(1, 3));
    equal(mode_of("c"), 0640);
    must(stat("b", &status) == 0);
    must(S_ISBLK(status.st_mode));
    equal(status.st_rdev, makedev(259, 70000));
    must(stat("p", &status) == 0 && S_ISFIFO(status.st_mode));
    must(stat("s", &status) == 0 && S_ISSOCK(status.st_mode));
    equal(mode_of("s"), 0644);  // as umask says
    must(stat("r", &status) == 0 && S_ISREG(status.st_mode));
}

static void node_by_user(void) {
    if (as(1000)) {
        fails(EPERM, mknod("c", S_IFCHR | 0644, makedev(1, 3)));
        must(mkfifo("p", 0644) == 0);
        leave();
    }
    struct stat status;
    must(stat("p", &status) == 0);
    equal(status.st_uid, 1000);
}

static void fifo_passes_bytes(void) {
    must(mkfifo("p", 0600) == 0);
    int both = open("p", O_RDWR | O_CLOEXEC);
    must(both >= 0);
    if (in_child()) {
        int fd = open("p", O_WRONLY | O_CLOEXEC);
        equal(write(fd, "hello", 5), 5);
        leave();
    }
    char bytes[8];
    equal(read(both, bytes, sizeof bytes), 5);
    fails(ENXIO, (close(both), open("p", O_WRONLY | O_NONBLOCK | O_CLOEXEC)));
}

static void socket_accepts(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "s"};
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(server, (struct sockaddr *)&name, sizeof name) == 0 && listen(server, 1) == 0);
    struct stat status;
    must(stat("s", &status) == 0 && S_ISSOCK(status.st_mode));
    if (in_child()) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(connect(fd, (struct sockaddr *)&name, sizeof name) == 0);
        leave();
    }
    must(accept(server, NULL, NULL) >= 0);
    must(unlink("s") == 0);
}

const struct check node_checks[] = {
    CHECK(node_kinds), CHECK(node_by_user), CHECK(fifo_passes_bytes), CHECK(socket_accepts), END,
};

// Last of all: where it fails, because each file of the guest's cache is an open one of a server that has a limit, what
// comes after it would as well.
const struct check last_checks[] = {
    CHECK(folder_of_100000_files),
    END,
};

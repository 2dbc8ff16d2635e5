// Names: long ones, strange ones, symbolic links, and what open(2) makes of them.
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *long_name(size_t length, char letter) {
    static char names[4][8192];
    static int next;
    char *name = names[next++ % 4];
    memset(name, letter, length);
    name[length] = 0;
    return name;
}

static void name_of_255_bytes(void) {
    put_text(long_name(255, 'a'), "a");
    must(mkdir(long_name(255, 'b'), 0755) == 0);
    must(symlink("x", long_name(255, 'c')) == 0);
    must(link(long_name(255, 'a'), long_name(255, 'd')) == 0);
    must(rename(long_name(255, 'd'), long_name(255, 'e')) == 0);
    holds(long_name(255, 'e'), "a");
    DIR *folder = opendir(".");
    int found = 0;
    for (struct dirent *entry; (entry = readdir(folder));) found += strlen(entry->d_name) == 255;
    equal(found, 4);
}

static void name_of_256_bytes(void) {
    const char *name = long_name(256, 'a');
    put_text("a", "");
    fails(ENAMETOOLONG, open(name, O_CREAT | O_WRONLY, 0644));
    fails(ENAMETOOLONG, open(name, O_RDONLY));
    fails(ENAMETOOLONG, mkdir(name, 0755));
    fails(ENAMETOOLONG, symlink("x", name));
    fails(ENAMETOOLONG, link("a", name));
    fails(ENAMETOOLONG, rename("a", name));
    fails(ENAMETOOLONG, mknod(name, S_IFIFO | 0644, 0));
    fails(ENAMETOOLONG, unlink(name));
    fails(ENAMETOOLONG, rmdir(name));
}

static void names_of_all_bytes(void) {
    char name[] = "x-";
    for (int byte = 1; byte < 256; byte++) {
        if (byte == '/') continue;
        name[0] = (char)byte;
        put(name, name, 1, 0644);
    }
    int seen[256] = {0};
    DIR *folder = opendir(".");
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[1] != '-' || entry->d_name[2]) continue;
        seen[(unsigned char)entry->d_name[0]]++;
        must(access(entry->d_name, R_OK) == 0);
    }
    for (int byte = 1; byte < 256; byte++) equal(seen[byte], byte != '/');
}

static void deep_folders(void) {
    // Deeper than PATH_MAX in all: only step by step can it be reached.
    const char *name = long_name(200, 'd');
    for (int depth = 0; depth < 30; depth++) {
        must(mkdir(name, 0755) == 0);
        must(chdir(name) == 0);
    }
    put_text("file", "deep");
    holds("file", "deep");
    must(unlink("file") == 0);
    for (int depth = 0; depth < 30; depth++) {
        must(chdir("..") == 0);
        must(rmdir(name) == 0);
    }
}

static void symlink_of_4095_bytes(void) {
    char is[PATH_MAX + 1];
    const char *target = long_name(4095, 't');
    must(symlink(target, "s") == 0);
    equal(readlink("s", is, sizeof is), 4095);
    must(memcmp(is, target, 4095) == 0);
    struct stat status;
    must(lstat("s", &status) == 0);
    equal(status.st_size, 4095);
    fails(ENAMETOOLONG, symlink(long_name(4096, 't'), "t"));
}

static void symlink_basics(void) {
    char is[16];
    put_text("a", "a");
    must(symlink("a", "s") == 0 && symlink("nowhere", "dangling") == 0 && symlink("loop", "loop") == 0);
    holds("s", "a");
    equal(readlink("dangling", is, 3), 3);
    fails(ENOENT, open("dangling", O_RDONLY));
    fails(ELOOP, open("loop", O_RDONLY));
    fails(ELOOP, open("s", O_RDONLY | O_NOFOLLOW));
    fails(EEXIST, symlink("x", "s"));
    fails(ENOENT, symlink("", "empty"));
    fails(EINVAL, readlink("a", is, sizeof is));
    must(chown("s", 1000, 1000) == 0);
    must(lchown("s", 1001, 1002) == 0);
    struct stat status, target;
    must(lstat("s", &status) == 0 && stat("a", &target) == 0);
    equal(status.st_uid, 1001);
    equal(status.st_gid, 1002);
    equal(target.st_uid, 1000);
    equal(status.st_mode, S_IFLNK | 0777);
}

static void open_exclusive(void) {
    put_text("a", "");
    must(symlink("new", "dangling") == 0);
    fails(EEXIST, open("a", O_CREAT | O_EXCL | O_WRONLY, 0644));
    fails(EEXIST, open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644));
    must(open("dangling", O_CREAT | O_WRONLY | O_CLOEXEC, 0644) >= 0);
    must(access("new", F_OK) == 0);
}

static void open_refusals(void) {
    put_text("a", "a");
    must(mkdir("folder", 0755) == 0);
    fails(ENOTDIR, open("a", O_RDONLY | O_DIRECTORY));
    fails(ENOTDIR, open("a/x", O_RDONLY));
    fails(EISDIR, open("folder", O_WRONLY));
    fails(EISDIR, open("folder", O_CREAT | O_WRONLY, 0644));
    fails(EISDIR, open("new/", O_CREAT | O_WRONLY, 0644));
    fails(EISDIR, unlink("folder"));
    fails(ENOTDIR, rmdir("a"));
    fails(EINVAL, rmdir("folder/."));
    fails(ENOTEMPTY, rmdir("folder/.."));
    char byte;
    fails(EISDIR, read(open("folder", O_RDONLY | O_CLOEXEC), &byte, 1));
}

static void open_truncates(void) {
    put_text("a", "content");
    must(open("a", O_WRONLY | O_TRUNC | O_CLOEXEC) >= 0);
    holds("a", "");
    struct stat status;
    must(stat("a", &status) == 0);
    equal(status.st_size, 0);
}

// A mode that forbids what the descriptor is opened for, at its creation.
static void open_with_mode_0(void) {
    if (as(1000)) {
        int fd = open("a", O_CREAT | O_RDWR | O_CLOEXEC, 0);
        must(fd >= 0);
        equal(write(fd, "x", 1), 1);
        fails(EACCES, open("a", O_RDONLY));
        leave();
    }
    equal(mode_of("a"), 0);
}

static void unlinked_but_open(void) {
    put_text("a", "content");
    int fd = open("a", O_RDWR | O_CLOEXEC);
    must(fd >= 0 && unlink("a") == 0);
    struct stat status;
    char bytes[16];
    equal(pread(fd, bytes, sizeof bytes, 0), 7);
    equal(pwrite(fd, "more", 4, 7), 4);
    must(fchmod(fd, 0600) == 0);
    must(fchown(fd, 1000, 1001) == 0);
    must(ftruncate(fd, 9) == 0);
    struct timespec times[2] = {{.tv_sec = 5, .tv_nsec = 7}, {.tv_sec = 6, .tv_nsec = 8}};
    must(futimens(fd, times) == 0);
    must(fsync(fd) == 0);
    must(fstat(fd, &status) == 0);
    equal(status.st_nlink, 0);
    equal(status.st_size, 9);
    equal(status.st_mode, S_IFREG | 0600);
    equal(status.st_gid, 1001);
    equal(status.st_mtim.tv_nsec, 8);
    put_text("a", "another");
    equal(pread(fd, bytes, sizeof bytes, 0), 9);
    must(memcmp(bytes, "contentmo", 9) == 0);
}

static void unlinked_and_reopened(void) {
    put_text("a", "content");
    int fd = open("a", O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && unlink("a") == 0);
    char path[64], bytes[16];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR | O_CLOEXEC);
    must(again >= 0);
    equal(read(again, bytes, sizeof bytes), 7);
    must(fsetxattr(fd, "user.x", "y", 1, 0) == 0);
    equal(fgetxattr(again, "user.x", bytes, sizeof bytes), 1);
}

static void temporary_file(void) {
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
    must(fd >= 0);
    equal(write(fd, "x", 1), 1);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    must(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
    holds("named", "x");
    equal(mode_of("named"), 0640);
}

const struct check name_checks[] = {
    CHECK(name_of_255_bytes),
    CHECK(name_of_256_bytes),
    CHECK(names_of_all_bytes),
    CHECK(deep_folders),
    CHECK(symlink_of_4095_bytes),
    CHECK(symlink_basics),
    CHECK(open_exclusive),
    CHECK(open_refusals),
    CHECK(open_truncates),
    CHECK(open_with_mode_0),
    CHECK(unlinked_but_open),
    CHECK(unlinked_and_reopened),
    CHECK(temporary_file),
    END,
};

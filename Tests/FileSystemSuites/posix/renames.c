// rename(2) in all its forms, and link(2).
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int rename_with(const char *from, const char *to, unsigned flags) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void rename_plain(void) {
    put_text("a", "a");
    ino_t inode = inode_of("a");
    must(rename("a", "b") == 0);
    fails(ENOENT, access("a", F_OK));
    equal(inode_of("b"), inode);
    holds("b", "a");
    fails(ENOENT, rename("a", "c"));
}

static void rename_file_over_file(void) {
    put_text("a", "a");
    put_text("b", "b");
    int old = open("b", O_RDONLY | O_CLOEXEC);
    must(rename("a", "b") == 0);
    holds("b", "a");
    // Who had the old one open still has it.
    char byte;
    equal(read(old, &byte, 1), 1);
    equal(byte, 'b');
    struct stat status;
    must(fstat(old, &status) == 0);
    equal(status.st_nlink, 0);
}

static void rename_folder_over_empty_folder(void) {
    must(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
    put_text("a/x", "x");
    must(rename("a", "b") == 0);
    holds("b/x", "x");
}

static void rename_of_unlike_kinds(void) {
    must(mkdir("folder", 0755) == 0 && mkdir("full", 0755) == 0 && mkdir("full/x", 0755) == 0);
    put_text("file", "");
    fails(EISDIR, rename("file", "folder"));
    fails(ENOTDIR, rename("folder", "file"));
    fails(ENOTEMPTY, rename("folder", "full"));
    fails(EINVAL, rename("full", "full/x/y"));
    fails(ENOTEMPTY, rename("full/x", "full"));
    fails(ENOTDIR, rename("file/x", "y"));
    fails(ENOTDIR, rename("file", "y/"));
    fails(EBUSY, rename("full/.", "y"));
}

static void rename_onto_own_link(void) {
    put_text("a", "a");
    must(link("a", "b") == 0);
    must(rename("a", "b") == 0);  // does nothing, successfully
    must(access("a", F_OK) == 0 && access("b", F_OK) == 0);
}

static void rename_noreplace(void) {
    put_text("a", "a");
    put_text("b", "b");
    fails(EEXIST, rename_with("a", "b", RENAME_NOREPLACE));
    holds("b", "b");
    must(rename_with("a", "c", RENAME_NOREPLACE) == 0);
    holds("c", "a");
    must(symlink("nowhere", "dangling") == 0);
    fails(EEXIST, rename_with("c", "dangling", RENAME_NOREPLACE));
}

static void rename_exchange(void) {
    put_text("a", "a");
    must(mkdir("folder", 0755) == 0 && mkdir("other", 0755) == 0);
    put_text("folder/x", "x");
    must(rename_with("a", "folder", RENAME_EXCHANGE) == 0);
    holds("folder", "a");
    holds("a/x", "x");
    must(rename_with("folder", "a/x", RENAME_EXCHANGE) == 0);
    holds("folder", "x");
    holds("a/x", "a");
    must(rename_with("a", "other", RENAME_EXCHANGE) == 0);
    holds("other/x", "a");
    fails(ENOENT, rename_with("a", "missing", RENAME_EXCHANGE));
    fails(EINVAL, rename_with("a", "other", RENAME_EXCHANGE | RENAME_NOREPLACE));
    fails(EINVAL, rename_with("other", "other/x", RENAME_EXCHANGE));
}

static void rename_whiteout(void) {
    put_text("a", "a");
    must(rename_with("a", "b", RENAME_WHITEOUT) == 0);
    struct stat status;
    must(lstat("a", &status) == 0);
    must(S_ISCHR(status.st_mode) && status.st_rdev == 0);
}

static void rename_of_open_folder(void) {
    must(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0 && mkdir("a/inner", 0755) == 0);
    int inner = open("a/inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(rename("a/inner", "b/moved") == 0);
    int fd = openat(inner, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    must(fd >= 0);
    must(access("b/moved/x", F_OK) == 0);
    struct stat up;
    must(fstatat(inner, "..", &up, 0) == 0);
    equal(up.st_ino, inode_of("b"));
}

static void rename_updates_parents_times(void) {
    must(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
    put_text("a/x", "");
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    must(utimensat(AT_FDCWD, "a", old, 0) == 0 && utimensat(AT_FDCWD, "b", old, 0) == 0);
    must(rename("a/x", "b/x") == 0);
    struct stat from, to;
    must(stat("a", &from) == 0 && stat("b", &to) == 0);
    must(from.st_mtime > 1000 && to.st_mtime > 1000);
}

static void link_counts(void) {
    put_text("a", "a");
    struct stat status;
    must(link("a", "b") == 0 && link("b", "c") == 0);
    must(stat("a", &status) == 0);
    equal(status.st_nlink, 3);
    equal(inode_of("c"), inode_of("a"));
    put_text("c", "new");
    holds("a", "new");
    must(chmod("b", 0600) == 0);
    equal(mode_of("a"), 0600);
    must(unlink("a") == 0 && unlink("c") == 0);
    must(stat("b", &status) == 0);
    equal(status.st_nlink, 1);
}

static void link_refusals(void) {
    put_text("a", "");
    put_text("b", "");
    must(mkdir("folder", 0755) == 0);
    fails(EEXIST, link("a", "b"));
    fails(EPERM, link("folder", "c"));
    fails(ENOENT, link("missing", "c"));
    fails(ENOTDIR, link("a/x", "c"));
}

static void link_of_symlink(void) {
    put_text("a", "a");
    must(symlink("a", "s") == 0);
    must(linkat(AT_FDCWD, "s", AT_FDCWD, "same", 0) == 0);
    equal(inode_of("same"), inode_of("s"));
    must(linkat(AT_FDCWD, "s", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW) == 0);
    equal(inode_of("followed"), inode_of("a"));
}

static void link_of_descriptor(void) {
    put_text("a", "a");
    int fd = open("a", O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    must(linkat(fd, "", AT_FDCWD, "b", AT_EMPTY_PATH) == 0);
    holds("b", "a");
    must(unlink("a") == 0 && unlink("b") == 0);
    // No name is left, and it was not made without one (O_TMPFILE): it gets none again.
    fails(ENOENT, linkat(fd, "", AT_FDCWD, "c", AT_EMPTY_PATH));
}

const struct check rename_checks[] = {
    CHECK(rename_plain),
    CHECK(rename_file_over_file),
    CHECK(rename_folder_over_empty_folder),
    CHECK(rename_of_unlike_kinds),
    CHECK(rename_onto_own_link),
    CHECK(rename_noreplace),
    CHECK(rename_exchange),
    CHECK(rename_whiteout),
    CHECK(rename_of_open_folder),
    CHECK(rename_updates_parents_times),
    CHECK(link_counts),
    CHECK(link_refusals),
    CHECK(link_of_symlink),
    CHECK(link_of_descriptor),
    END,
};

// Who may do what: modes, owners, the bits that writing takes away.
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

// A file of `mode` that is root's, and that user 1000 may write.
static int for_user(const char *name, mode_t mode) {
    put(name, "content", 7, mode);
    equal(mode_of(name), mode);
    int fd = open(name, O_RDWR | O_CLOEXEC);
    must(fd >= 0);
    return fd;
}

static void mode_bits(void) {
    put_text("a", "");
    for (mode_t mode = 0; mode <= 07777; mode += 73) {
        must(chmod("a", mode) == 0);
        equal(mode_of("a"), mode);
    }
    must(mkdir("d", 0755) == 0);
    must(chmod("d", 07777) == 0);
    equal(mode_of("d"), 07777);
}

static void umask_holds(void) {
    umask(037);
    must(mkdir("d", 0777) == 0 && mknod("p", S_IFIFO | 0666, 0) == 0);
    must(open("f", O_CREAT | O_WRONLY | O_CLOEXEC, 0666) >= 0);
    equal(mode_of("d"), 0740);
    equal(mode_of("p"), 0640);
    equal(mode_of("f"), 0640);
}

static void owner_of_new(void) {
    if (as(1000)) {
        put_text("f", "");
        must(mkdir("d", 0755) == 0 && symlink("x", "l") == 0);
        leave();
    }
    for (const char *const *name = (const char *const[]){"f", "d", "l", NULL}; *name; name++) {
        struct stat status;
        must(lstat(*name, &status) == 0);
        equal(status.st_uid, 1000);
        equal(status.st_gid, 1000);
    }
}

static void changes_by_others(void) {
    put_text("a", "");
    if (as(1000)) {
        fails(EPERM, chmod("a", 0666));
        fails(EPERM, chown("a", 1000, (gid_t)-1));
        fails(EPERM, chown("a", (uid_t)-1, 1000));
        fails(EACCES, open("a", O_WRONLY));
        fails(EACCES, truncate("a", 0));
        fails(EPERM, utimensat(AT_FDCWD, "a", (struct timespec[2]){{1, 0}, {1, 0}}, 0));
        fails(EACCES, utimensat(AT_FDCWD, "a", NULL, 0));
        leave();
    }
    must(chmod("a", 0666) == 0);
    if (as(1000)) {
        must(utimensat(AT_FDCWD, "a", NULL, 0) == 0);  // who may write may say: now
        fails(EPERM, utimensat(AT_FDCWD, "a", (struct timespec[2]){{1, 0}, {1, 0}}, 0));
        leave();
    }
}

static void owner_gives_to_own_group(void) {
    put_text("a", "");
    must(chown("a", 1000, 1000) == 0);
    if (in_child()) {
        must(setgroups(1, (gid_t[]){2000}) == 0 && setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
        must(chown("a", (uid_t)-1, 2000) == 0);
        fails(EPERM, chown("a", (uid_t)-1, 3000));
        leave();
    }
    struct stat status;
    must(stat("a", &status) == 0);
    equal(status.st_gid, 2000);
}

static void supplementary_group_may_write(void) {
    must(mkdir("d", 0770) == 0 && chmod("d", 0770) == 0 && chown("d", 0, 2000) == 0);
    put("f", "x", 1, 0660);
    must(chown("f", 0, 2000) == 0);
    if (in_child()) {
        must(setgroups(1, (gid_t[]){2000}) == 0 && setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
        int fd = open("f", O_WRONLY | O_CLOEXEC);
        must(fd >= 0);
        equal(write(fd, "y", 1), 1);
        must(open("d/x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644) >= 0);
        must(mkdir("d/y", 0755) == 0);
        must(rename("d/x", "d/z") == 0);
        leave();
    }
}

static void folder_without_search(void) {
    must(mkdir("d", 0700) == 0 && mkdir("list", 0744) == 0 && mkdir("search", 0711) == 0);
    put_text("d/x", "");
    put_text("list/x", "");
    put_text("search/x", "");
    if (as(1000)) {
        struct stat status;
        fails(EACCES, stat("d/x", &status));
        fails(EACCES, stat("list/x", &status));
        must(stat("search/x", &status) == 0);
        must(open("list", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);
        fails(EACCES, open("search", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        fails(EACCES, unlink("search/x"));
        fails(EACCES, access("search", W_OK));
        leave();
    }
    must(access("d/x", W_OK) == 0);
    fails(EACCES, access("d/x", X_OK));  // root needs one x bit too
}

static void sticky_folder(void) {
    must(mkdir("d", 0777) == 0 && chmod("d", 01777) == 0);
    put_text("d/roots", "");
    must(chmod("d/roots", 0666) == 0);
    if (as(1000)) {
        fails(EPERM, unlink("d/roots"));
        fails(EPERM, rename("d/roots", "d/mine"));
        put_text("d/mine", "");
        fails(EPERM, rename("d/mine", "d/roots"));
        must(rename("d/mine", "d/still-mine") == 0);
        leave();
    }
    if (as(1001)) {
        fails(EPERM, unlink("d/still-mine"));
        leave();
    }
    must(unlink("d/still-mine") == 0);
}

static void setgid_folder(void) {
    must(mkdir("d", 0777) == 0 && chown("d", 0, 2000) == 0 && chmod("d", 02777) == 0);
    if (as(1000)) {
        put_text("d/f", "");
        must(mkdir("d/d", 0755) == 0);
        // A program with setgid for a group that the user is not in.
        must(open("d/g", O_CREAT | O_WRONLY | O_CLOEXEC, 02775) >= 0);
        leave();
    }
    struct stat status;
    must(stat("d/f", &status) == 0);
    equal(status.st_gid, 2000);
    must(stat("d/d", &status) == 0);
    equal(status.st_gid, 2000);
    equal(mode_of("d/d"), 02755);
    equal(mode_of("d/g"), 0755);
}

static void setgid_by_stranger(void) {
    put_text("a", "");
    must(chown("a", 1000, 2000) == 0);
    if (as(1000)) {
        must(chmod("a", 02755) == 0);
        leave();
    }
    equal(mode_of("a"), 0755);
}

static void suid_cleared_by_write(void) {
    int fd = for_user("a", 06777);
    equal(write(fd, "x", 1), 1);
    equal(mode_of("a"), 06777);  // by root (CAP_FSETID): kept
    if (as(1000)) {
        int own = open("a", O_WRONLY | O_CLOEXEC);
        equal(write(own, "y", 1), 1);
        leave();
    }
    equal(mode_of("a"), 0777);
}

static void suid_cleared_by_truncate(void) {
    for_user("a", 06777);
    for_user("b", 06777);
    for_user("c", 06777);
    for_user("d", 06777);
    if (as(1000)) {
        must(truncate("a", 3) == 0);
        must(ftruncate(open("b", O_WRONLY | O_CLOEXEC), 3) == 0);
        must(open("c", O_WRONLY | O_TRUNC | O_CLOEXEC) >= 0);
        must(fallocate(open("d", O_WRONLY | O_CLOEXEC), 0, 0, 100) == 0);
        leave();
    }
    equal(mode_of("a"), 0777);
    equal(mode_of("b"), 0777);
    equal(mode_of("c"), 0777);
    equal(mode_of("d"), 0777);
}

static void suid_cleared_by_chown(void) {
    for_user("a", 06755);
    must(chown("a", 1000, 1000) == 0);  // even by root
    equal(mode_of("a"), 0755);
    for_user("b", 02644);
    must(chown("b", 1000, 1000) == 0);
    equal(mode_of("b"), 02644);
    must(mkdir("d", 0755) == 0 && chmod("d", 06755) == 0 && chown("d", 1000, 1000) == 0);
    equal(mode_of("d"), 06755);
}

// struct vfs_cap_data, version 2, cap_net_raw=ep
static const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20};

static void capability_kept_and_cleared(void) {
    unsigned char is[32];
    for_user("a", 0777);
    must(setxattr("a", "security.capability", capability, sizeof capability, 0) == 0);
    equal(getxattr("a", "security.capability", is, sizeof is), sizeof capability);
    must(memcmp(is, capability, sizeof capability) == 0);
    must(chmod("a", 0775) == 0);
    equal(getxattr("a", "security.capability", is, sizeof is), sizeof capability);
    int fd = open("a", O_WRONLY | O_CLOEXEC);
    equal(write(fd, "x", 1), 1);  // even root's write takes it away
    fails(ENODATA, getxattr("a", "security.capability", is, sizeof is));
    must(setxattr("a", "security.capability", capability, sizeof capability, 0) == 0);
    must(chown("a", 1000, 1000) == 0);
    fails(ENODATA, getxattr("a", "security.capability", is, sizeof is));
    must(setxattr("a", "security.capability", capability, sizeof capability, 0) == 0);
    must(truncate("a", 1) == 0);
    fails(ENODATA, getxattr("a", "security.capability", is, sizeof is));
}

const struct check mode_checks[] = {
    CHECK(mode_bits),
    CHECK(umask_holds),
    CHECK(owner_of_new),
    CHECK(changes_by_others),
    CHECK(owner_gives_to_own_group),
    CHECK(supplementary_group_may_write),
    CHECK(folder_without_search),
    CHECK(sticky_folder),
    CHECK(setgid_folder),
    CHECK(setgid_by_stranger),
    CHECK(suid_cleared_by_write),
    CHECK(suid_cleared_by_truncate),
    CHECK(suid_cleared_by_chown),
    CHECK(capability_kept_and_cleared),
    END,
};

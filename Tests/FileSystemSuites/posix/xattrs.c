// Extended attributes, and the access control lists that are stored in them.
#define _GNU_SOURCE
#include "check.h"

#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void xattr_set_and_get(void) {
    char is[4096];
    put_text("a", "");
    must(setxattr("a", "user.one", "value\0with zero", 15, 0) == 0);
    equal(getxattr("a", "user.one", NULL, 0), 15);
    equal(getxattr("a", "user.one", is, sizeof is), 15);
    must(!memcmp(is, "value\0with zero", 15));
    fails(ERANGE, getxattr("a", "user.one", is, 14));
    fails(ENODATA, getxattr("a", "user.none", is, sizeof is));
    must(setxattr("a", "user.empty", "", 0, 0) == 0);
    equal(getxattr("a", "user.empty", is, sizeof is), 0);
    must(setxattr("a", "user.one", "shorter", 7, 0) == 0);
    equal(getxattr("a", "user.one", is, sizeof is), 7);
    int fd = open("a", O_RDONLY | O_CLOEXEC);
    equal(fgetxattr(fd, "user.one", is, sizeof is), 7);
    must(fsetxattr(fd, "user.two", "2", 1, 0) == 0);
    equal(getxattr("a", "user.two", is, sizeof is), 1);
}

static void xattr_create_and_replace(void) {
    put_text("a", "");
    fails(ENODATA, setxattr("a", "user.x", "1", 1, XATTR_REPLACE));
    must(setxattr("a", "user.x", "1", 1, XATTR_CREATE) == 0);
    fails(EEXIST, setxattr("a", "user.x", "2", 1, XATTR_CREATE));
    must(setxattr("a", "user.x", "3", 1, XATTR_REPLACE) == 0);
    must(removexattr("a", "user.x") == 0);
    fails(ENODATA, removexattr("a", "user.x"));
}

static void xattr_list(void) {
    char names[4096], one[] = "user.0";
    put_text("a", "");
    equal(listxattr("a", names, sizeof names), 0);
    for (; one[5] < '9'; one[5]++) must(setxattr("a", one, "v", 1, 0) == 0);
    ssize_t size = listxattr("a", NULL, 0);
    equal(size, 9 * 7);
    fails(ERANGE, listxattr("a", names, 10));
    equal(listxattr("a", names, sizeof names), size);
    int found = 0;
    for (char *name = names; name < names + size; name += strlen(name) + 1) found += !strncmp(name, "user.", 5);
    equal(found, 9);
    must(removexattr("a", "user.4") == 0);
    equal(listxattr("a", names, sizeof names), size - 7);
}

static void xattr_sizes(void) {
    static char value[3000], is[3000];
    char name[300] = "user.";
    put_text("a", "");
    memset(value, 'v', sizeof value);
    must(setxattr("a", "user.large", value, sizeof value, 0) == 0);
    equal(getxattr("a", "user.large", is, sizeof is), sizeof value);
    must(!memcmp(is, value, sizeof value));
    must(removexattr("a", "user.large") == 0);
    memset(name + 5, 'n', 250);
    must(setxattr("a", name, "v", 1, 0) == 0);
    equal(getxattr("a", name, is, sizeof is), 1);
    name[255] = 'n';
    fails(ERANGE, setxattr("a", name, "v", 1, 0));
}

static void xattr_kinds(void) {
    char is[16];
    put_text("a", "");
    must(mkdir("d", 0755) == 0 && symlink("a", "l") == 0);
    must(setxattr("d", "user.x", "d", 1, 0) == 0);
    equal(getxattr("d", "user.x", is, sizeof is), 1);
    must(setxattr("l", "user.x", "through", 7, 0) == 0);
    equal(getxattr("a", "user.x", is, sizeof is), 7);
    fails(EPERM, lsetxattr("l", "user.x", "l", 1, 0));
    must(lsetxattr("l", "trusted.x", "l", 1, 0) == 0);
    equal(lgetxattr("l", "trusted.x", is, sizeof is), 1);
    fails(ENODATA, getxattr("a", "trusted.x", is, sizeof is));
    fails(EOPNOTSUPP, setxattr("a", "nowhere.x", "v", 1, 0));
}

static void xattr_by_user(void) {
    char is[16];
    put_text("a", "");
    must(setxattr("a", "user.x", "v", 1, 0) == 0 && setxattr("a", "trusted.x", "v", 1, 0) == 0);
    if (as(1000)) {
        equal(getxattr("a", "user.x", is, sizeof is), 1);
        fails(EACCES, setxattr("a", "user.x", "w", 1, 0));
        fails(EACCES, removexattr("a", "user.x"));
        fails(ENODATA, getxattr("a", "trusted.x", is, sizeof is));
        fails(EPERM, setxattr("a", "trusted.x", "w", 1, 0));
        fails(EPERM, setxattr("a", "security.capability", "\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
        equal(listxattr("a", is, sizeof is), 7);
        leave();
    }
    must(chmod("a", 0600) == 0);
    if (as(1000)) {
        fails(EACCES, getxattr("a", "user.x", is, sizeof is));
        leave();
    }
}

const struct check xattr_checks[] = {
    CHECK(xattr_set_and_get), CHECK(xattr_create_and_replace), CHECK(xattr_list),
    CHECK(xattr_sizes),       CHECK(xattr_kinds),              CHECK(xattr_by_user),
    END,
};

// --- access control lists ---------------------------------------------------------------------------------------------

struct entry {
    uint16_t tag, permissions;
    uint32_t id;
};
struct list {
    uint32_t version;
    struct entry entries[8];
};
enum { OWNER = 1, USER = 2, GROUP = 4, MASK = 0x10, OTHER = 0x20 };

static int set_list(const char *name, const char *which, uint16_t owner, uint16_t user_1000, uint16_t group,
                    uint16_t mask, uint16_t other) {
    struct list list = {
        2,
        {{OWNER, owner, UINT32_MAX}, {USER, user_1000, 1000}, {GROUP, group, UINT32_MAX}, {MASK, mask, UINT32_MAX},
         {OTHER, other, UINT32_MAX}},
    };
    return setxattr(name, which, &list, 4 + 5 * sizeof(struct entry), 0);
}

static void acl_grants(void) {
    struct list is;
    put("a", "secret", 6, 0600);
    must(set_list("a", "system.posix_acl_access", 6, 4, 0, 4, 0) == 0);
    equal(mode_of("a"), 0640);  // the group's bits are the mask
    if (as(1000)) {
        holds("a", "secret");
        fails(EACCES, open("a", O_WRONLY));
        leave();
    }
    if (as(1001)) {
        fails(EACCES, open("a", O_RDONLY));
        leave();
    }
    must(chmod("a", 0600) == 0);
    if (as(1000)) {
        fails(EACCES, open("a", O_RDONLY));
        leave();
    }
    equal(getxattr("a", "system.posix_acl_access", &is, sizeof is), 4 + 5 * sizeof(struct entry));
    equal(is.entries[3].permissions, 0);
    must(removexattr("a", "system.posix_acl_access") == 0);
}

static void acl_of_mode_alone(void) {
    // Three entries are a mode, and are kept as one.
    struct list list = {2, {{OWNER, 7, UINT32_MAX}, {GROUP, 5, UINT32_MAX}, {OTHER, 1, UINT32_MAX}}};
    char is[64];
    put_text("a", "");
    must(setxattr("a", "system.posix_acl_access", &list, 4 + 3 * sizeof(struct entry), 0) == 0);
    equal(mode_of("a"), 0751);
    fails(ENODATA, getxattr("a", "system.posix_acl_access", is, sizeof is));
}

static void acl_default_and_umask(void) {
    char is[64];
    must(mkdir("d", 0755) == 0 && mkdir("plain", 0755) == 0);
    must(set_list("d", "system.posix_acl_default", 7, 7, 5, 7, 0) == 0);
    umask(077);
    put("d/put", "", 0, 0640);
    int fd = open("d/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    must(fd >= 0 && mkdir("d/d", 0777) == 0 && mknod("d/p", S_IFIFO | 0666, 0) == 0);
    must(open("plain/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0666) >= 0);
    equal(mode_of("plain/f"), 0600);
    equal(mode_of("d/f"), 0660);  // by the list; the umask has no say
    equal(mode_of("d/d"), 0770);
    equal(mode_of("d/p"), 0660);
    must(getxattr("d/d", "system.posix_acl_default", is, sizeof is) > 4);
    must(getxattr("d/f", "system.posix_acl_access", is, sizeof is) > 4);
    if (as(1000)) {
        must(open("d/f", O_WRONLY | O_CLOEXEC) >= 0);
        leave();
    }
}

static void acl_by_others(void) {
    put_text("a", "");
    if (as(1000)) {
        fails(EPERM, set_list("a", "system.posix_acl_access", 6, 6, 6, 6, 6));
        leave();
    }
    fails(EACCES, set_list("a", "system.posix_acl_default", 6, 6, 6, 6, 6));  // for folders only
    fails(EINVAL, setxattr("a", "system.posix_acl_access", "x", 1, 0));
}

const struct check acl_checks[] = {
    CHECK(acl_grants), CHECK(acl_of_mode_alone), CHECK(acl_default_and_umask), CHECK(acl_by_others), END,
};

// stress FOLDER SEED COUNT PROCESSES: random operations on a tree, by several processes at once.
//
// With one process all is determined by the seed: it prints `ok stress_SEED DIGEST`, a digest of the result of each
// operation and of the tree that is left, which must be the same wherever it runs. With more of them, an error that
// none of the others can have caused (EIO, ESTALE, EMFILE, …) ends it; what is left must be removable.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static uint64_t state, digest = 14695981039346656037u;
static const char *const operations[] = {
    "create", "write", "mkdir",  "mknod", "symlink", "link",   "rename",   "exchange", "noreplace", "unlink", "rmdir",
    "chmod",  "chown", "append", "read",  "setattr", "getattr", "truncate", "list",     "stat",      "fsync",  "utime",
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static uint32_t any(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16) % below;
}

static void mix(const void *bytes, size_t size) {
    for (const unsigned char *at = bytes; size--; at++) digest = (digest ^ *at) * 1099511628211u;
}

static void mix_number(long long number) { mix(&number, sizeof number); }

// Few names, so that they meet: up to three folders deep.
static char *name(char *into) {
    char *at = into;
    for (uint32_t depth = any(4); depth; depth--) at += sprintf(at, "d%u/", any(3));
    sprintf(at, "%c%u", "dfff"[any(4)], any(6));
    return into;
}

static int open_and(const char *path, int flags, uint32_t what) {
    static char block[70000];
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0644);
    if (fd < 0) return -1;
    struct stat status;
    int result = 0;
    if (fstat(fd, &status) < 0) result = -1;
    if (result == 0 && S_ISREG(status.st_mode)) {
        if (what == 1) {
            memset(block, (int)any(256), sizeof block);
            result = pwrite(fd, block, any(sizeof block), any(200000)) < 0 ? -1 : 0;
        } else if (what == 2) {
            ssize_t count = pread(fd, block, any(sizeof block), any(200000));
            if (count > 0) mix(block, (size_t)count);
            result = count < 0 ? -1 : 0;
        } else if (what == 3) {
            result = fsync(fd);
        }
    }
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

static int list(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return -1;
    // In whatever order they come.
    long long sum = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder));)
        for (char *at = entry->d_name; *at; at++) sum += *at * (at - entry->d_name + 1);
    int error = errno;
    closedir(folder);
    mix_number(sum);
    errno = error;
    return error ? -1 : 0;
}

static int operate(uint32_t operation) {
    char a[128], b[128], value[200];
    struct stat status;
    name(a);
    name(b);
    switch (operation) {
    case 0: return open_and(a, O_CREAT | O_WRONLY | (any(2) ? O_EXCL : 0), 0);
    case 1: return open_and(a, O_WRONLY, 1);
    case 2: return mkdir(a, 0755);
    case 3: return mknod(a, S_IFIFO | 0644, 0);
    case 4: return symlink(b, a);
    case 5: return link(a, b);
    case 6: return rename(a, b);
    case 7: return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
    case 8: return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE);
    case 9: return unlink(a);
    case 10: return rmdir(a);
    case 11: return fchmodat(AT_FDCWD, a, 0700 | any(0100), 0);
    case 12: return lchown(a, any(3), any(3));
    case 13: return open_and(a, O_WRONLY | O_APPEND | (any(4) ? 0 : O_TRUNC), 1);
    case 14: return open_and(a, O_RDONLY, 2);
    case 15: memset(value, 'v', sizeof value); return lsetxattr(a, any(2) ? "user.a" : "user.b", value, any(200), 0);
    case 16: return lgetxattr(a, "user.a", value, sizeof value) < 0 ? -1 : 0;
    case 17: return truncate(a, any(300000));
    case 18: return list(a);
    case 19:
        if (lstat(a, &status) < 0) return -1;
        mix_number(S_ISDIR(status.st_mode) ? 0 : status.st_size);
        mix_number(status.st_nlink);
        mix_number(status.st_mode);
        return 0;
    case 20: return open_and(a, O_RDONLY, 3);
    default: return utimensat(AT_FDCWD, a, (struct timespec[2]){{any(1000), 1}, {any(1000), 2}}, AT_SYMLINK_NOFOLLOW);
    }
}

// What another process, or the operation before, may have caused.
static int usual(int error) {
    static const int all[] = {ENOENT, EEXIST, ENOTEMPTY, ENOTDIR, EISDIR, EINVAL, EBUSY, ELOOP,
                              ENXIO,  ENODATA, EPERM,    ENAMETOOLONG};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (error == all[i]) return 1;
    return 0;
}

static int work(unsigned long count, int talk) {
    for (unsigned long i = 0; i < count; i++) {
        uint32_t operation = any(OPERATIONS);
        errno = 0;
        int result = operate(operation), error = result < 0 ? errno : 0;
        mix_number(error);
        if (talk) fprintf(stderr, "%lu %s %d %016llx\n", i, operations[operation], error, (unsigned long long)digest);
        if (error && !usual(error)) {
            printf("not ok stress: operation %lu: %s: %s\n", i, operations[operation], strerror(error));
            fflush(stdout);
            return 1;
        }
    }
    return 0;
}

static uint64_t sum;

static int look(const char *path, const struct stat *status, int type, struct FTW *position) {
    (void)type;
    (void)position;
    uint64_t before = digest;
    digest = 14695981039346656037u;
    mix(path, strlen(path));
    mix_number(status->st_mode);
    mix_number(status->st_uid);
    mix_number(status->st_gid);
    mix_number(status->st_nlink);
    if (!S_ISDIR(status->st_mode)) mix_number(status->st_size);
    char text[PATH_MAX];
    ssize_t length;
    if (S_ISLNK(status->st_mode) && (length = readlink(path, text, sizeof text)) > 0) mix(text, (size_t)length);
    if ((length = lgetxattr(path, "user.a", text, sizeof text)) >= 0) mix(text, (size_t)length);
    if ((length = lgetxattr(path, "user.b", text, sizeof text)) >= 0) mix(text, (size_t)length);
    if (S_ISREG(status->st_mode)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        while ((length = read(fd, text, sizeof text)) > 0) mix(text, (size_t)length);
        close(fd);
    }
    sum += digest;  // a sum: the order of a walk is the file system's own
    digest = before;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *position) {
    (void)status;
    (void)type;
    return position->level == 0 ? 0 : remove(path);
}

int main(int count, char **words) {
    if (count != 5 || chdir(words[1]) < 0) {
        fprintf(stderr, "usage: stress FOLDER SEED COUNT PROCESSES\n");
        return 2;
    }
    uint64_t seed = strtoull(words[2], NULL, 10);
    unsigned long operations_each = strtoul(words[3], NULL, 10);
    int processes = atoi(words[4]), failed = 0;
    umask(022);
    if (processes == 1) {
        state = 0x9e3779b97f4a7c15 ^ seed;
        failed = work(operations_each, getenv("STRESS_TALKS") != NULL);
        nftw(".", look, 32, FTW_PHYS);
        if (!failed) printf("ok stress_%s %016llx\n", words[2], (unsigned long long)(digest + sum));
    } else {
        for (int i = 0; i < processes; i++) {
            if (fork() == 0) {
                state = 0x9e3779b97f4a7c15 ^ (seed * 1000 + (unsigned)i);
                _exit(work(operations_each, 0));
            }
        }
        for (int status; wait(&status) > 0;) failed |= status != 0;
        if (!failed) printf("ok stress_%s_of_%d\n", words[2], processes);
    }
    if (nftw(".", remove_one, 32, FTW_PHYS | FTW_DEPTH) != 0) {
        printf("not ok stress_%s: what is left can't be removed: %s\n", words[2], strerror(errno));
        failed = 1;
    }
    return failed;
}

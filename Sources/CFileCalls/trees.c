#include "CFileCalls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// By number: glibc has no wrappers before 2.36, and linux/mount.h clashes with sys/mount.h.
enum { CONFIG_FLAG = 0, CONFIG_STRING = 1, CONFIG_CREATE = 6, CLOSE_ON_EXEC = 1, RECURSIVE = 0x8000 };
#define ATTRIBUTES (2u | 4u | 8u) // nosuid, nodev, noexec
#define ATTRIBUTE_IDMAP 0x100000u

struct attributes {
    uint64_t set, clear, propagation, namespace;
};

static int fail_close(int fd) {
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

int cfile_overlay_begin(void) { return (int)syscall(SYS_fsopen, "overlay", CLOSE_ON_EXEC); }

int cfile_overlay_option(int context, const char *key, const char *value) {
    return (int)syscall(SYS_fsconfig, context, value ? CONFIG_STRING : CONFIG_FLAG, key, value, 0);
}

int cfile_overlay_end(int context) {
    if (syscall(SYS_fsconfig, context, CONFIG_CREATE, NULL, NULL, 0) < 0) return -1;
    return (int)syscall(SYS_fsmount, context, CLOSE_ON_EXEC, ATTRIBUTES);
}

static int write_map(pid_t pid, const char *name, const char *lines) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t written = write(fd, lines, strlen(lines));
    if (written < 0) return fail_close(fd);
    close(fd);
    return 0;
}

// A user namespace lives in a process: one that does nothing, until the namespace has been opened.
static int user_namespace(const char *uids, const char *gids) {
    int hold[2];
    if (pipe2(hold, O_CLOEXEC) < 0) return -1;
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        char byte;
        close(hold[1]);
        ssize_t got = read(hold[0], &byte, 1);
        _exit(got < 0);
    }
    close(hold[0]);
    int namespace = -1;
    if (pid > 0 && write_map(pid, "uid_map", uids) == 0 && write_map(pid, "gid_map", gids) == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
        namespace = open(path, O_RDONLY | O_CLOEXEC);
    }
    int code = errno;
    close(hold[1]);
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    errno = code;
    return namespace;
}

int cfile_map_ids(int mount, const char *uids, const char *gids, int recursive) {
    int namespace = user_namespace(uids, gids);
    if (namespace < 0) return -1;
    struct attributes attributes = {.set = ATTRIBUTE_IDMAP, .namespace = (uint64_t)namespace};
    unsigned flags = AT_EMPTY_PATH | (recursive ? RECURSIVE : 0);
    if (syscall(SYS_mount_setattr, mount, "", flags, &attributes, sizeof attributes) < 0) return fail_close(namespace);
    close(namespace);
    return 0;
}

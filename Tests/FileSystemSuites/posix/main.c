// posix FOLDER [NAME...]: checks a file system in FOLDER, and prints a line a check: `ok NAME` or `not ok NAME: why`.
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int complaints;  // where a check says what it lost

void lost(const char *file, int line, const char *what, int error) {
    dprintf(complaints, "%s:%d: %s%s%s", file, line, what, error ? ": " : "", error ? strerror(error) : "");
    _exit(1);
}

void differs(const char *file, int line, const char *what, long long is, long long wanted) {
    dprintf(complaints, "%s:%d: %s is %lld, not %lld", file, line, what, is, wanted);
    _exit(1);
}

static int forked(void) {
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) return 1;
    int status;
    must(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) differs(__FILE__, __LINE__, "a child's signal", WTERMSIG(status), 0);
    if (status) _exit(1);
    return 0;
}

int in_child(void) { return forked(); }

int as(uid_t user) {
    if (!forked()) return 0;
    must(setgroups(0, NULL) == 0);
    must(setresgid(user, user, user) == 0);
    must(setresuid(user, user, user) == 0);
    return 1;
}

void leave(void) { _exit(0); }

void put(const char *name, const void *bytes, size_t size, mode_t mode) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(write(fd, bytes, size) == (ssize_t)size);
    must(fchmod(fd, mode) == 0);
    must(close(fd) == 0);
}

void put_text(const char *name, const char *text) { put(name, text, strlen(text), 0644); }

void holds(const char *name, const char *text) {
    char is[256];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    equal(read(fd, is, sizeof is), strlen(text));
    must(memcmp(is, text, strlen(text)) == 0);
    must(close(fd) == 0);
}

mode_t mode_of(const char *name) {
    struct stat status;
    must(lstat(name, &status) == 0);
    return status.st_mode & 07777;
}

ino_t inode_of(const char *name) {
    struct stat status;
    must(lstat(name, &status) == 0);
    return status.st_ino;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *position) {
    (void)status;
    (void)type;
    (void)position;
    return remove(path);
}

// Whether the child has ended: by itself, or killed when its time is over, with all its own.
static int await(pid_t child, int seconds, int *status) {
    for (long tenths = seconds * 10L; tenths > -50; tenths--) {
        if (tenths == 0) kill(-child, SIGKILL);
        for (int i = 0; i < 100; i++) {
            if (waitpid(child, status, WNOHANG) == child) return 1;
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    return 0;
}

static void run(const struct check *check, const char *folder) {
    char place[4096], why[1024];
    int pipes[2];
    snprintf(place, sizeof place, "%s/%s", folder, check->name);
    nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (mkdir(place, 0777) < 0 || chmod(place, 0777) < 0 || pipe2(pipes, O_CLOEXEC) < 0) {
        perror(place);
        exit(2);
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(pipes[0]);
        complaints = pipes[1];
        setsid();
        umask(022);
        must(chdir(place) == 0);
        check->run();
        _exit(0);
    }
    close(pipes[1]);
    int status = 0, dead = await(child, check->seconds ? check->seconds : 600, &status);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    ssize_t length = read(pipes[0], why, sizeof why - 1);
    why[length > 0 ? length : 0] = 0;
    close(pipes[0]);
    if (!dead) {
        snprintf(why, sizeof why, "it waits for ever, and SIGKILL does not end it");
        status = 1;
    } else if (WIFSIGNALED(status)) {
        snprintf(why, sizeof why, "signal %d (9: it took too long)", WTERMSIG(status));
    }
    if (status)
        printf("not ok %s: %s\n", check->name, why);
    else
        printf("ok %s\n", check->name);
    fflush(stdout);
    nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int chosen(const char *name, char **names) {
    if (!*names) return 1;
    for (; *names; names++)
        if (!strcmp(name, *names)) return 1;
    return 0;
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: posix FOLDER [NAME...]\n");
        return 2;
    }
    const struct check *const all[] = {
        rename_checks, name_checks, folder_checks, node_checks, mode_checks, status_checks,
        data_checks,   space_checks, map_checks,   lock_checks, xattr_checks, acl_checks,
        last_checks,
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (const struct check *check = all[i]; check->name; check++)
            if (chosen(check->name, words + 2)) run(check, words[1]);
    return 0;
}

// Locks between processes: fcntl's (by process and by open file) and flock's.
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int file(void) {
    int fd = open("a", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    must(fd >= 0);
    return fd;
}

static int lock(int fd, int command, short type, off_t start, off_t length) {
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &range);
}

static void posix_locks_exclude(void) {
    int fd = file();
    must(lock(fd, F_SETLK, F_WRLCK, 10, 10) == 0);
    must(lock(fd, F_SETLK, F_RDLCK, 100, 10) == 0);
    pid_t owner = getpid();
    if (in_child()) {
        int own = file();
        fails(EAGAIN, lock(own, F_SETLK, F_WRLCK, 19, 1));
        fails(EAGAIN, lock(own, F_SETLK, F_RDLCK, 0, 0));
        must(lock(own, F_SETLK, F_WRLCK, 20, 10) == 0);
        must(lock(own, F_SETLK, F_RDLCK, 105, 1) == 0);
        fails(EAGAIN, lock(own, F_SETLK, F_WRLCK, 105, 1));
        struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 50};
        must(fcntl(own, F_GETLK, &range) == 0);
        equal(range.l_type, F_WRLCK);
        equal(range.l_pid, owner);
        equal(range.l_start, 10);
        equal(range.l_len, 10);
        leave();
    }
    // A hole in a lock makes two of it.
    must(lock(fd, F_SETLK, F_UNLCK, 14, 2) == 0);
    if (in_child()) {
        int own = file();
        must(lock(own, F_SETLK, F_WRLCK, 14, 2) == 0);
        fails(EAGAIN, lock(own, F_SETLK, F_WRLCK, 13, 1));
        fails(EAGAIN, lock(own, F_SETLK, F_WRLCK, 16, 1));
        leave();
    }
}

static void posix_lock_goes_with_any_close(void) {
    int fd = file();
    must(lock(fd, F_SETLK, F_WRLCK, 0, 0) == 0);
    close(file());  // another descriptor of the same file: that is how these locks are
    if (in_child()) {
        must(lock(file(), F_SETLK, F_WRLCK, 0, 0) == 0);
        leave();
    }
}

// A holder in a child that says when it has the lock, and is gone `milliseconds` later.
static pid_t holder(int how, long milliseconds) {
    int pipes[2];
    must(pipe2(pipes, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = file();
        if ((how == 'f' ? flock(fd, LOCK_EX) : lock(fd, how == 'o' ? F_OFD_SETLK : F_SETLK, F_WRLCK, 0, 0)) < 0) _exit(1);
        if (write(pipes[1], "x", 1) != 1) _exit(1);
        nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
        _exit(0);
    }
    char byte;
    equal(read(pipes[0], &byte, 1), 1);
    return child;
}

static void posix_lock_waits(void) {
    holder('p', 300);
    fails(EAGAIN, lock(file(), F_SETLK, F_WRLCK, 0, 0));
    must(lock(file(), F_SETLKW, F_WRLCK, 0, 0) == 0);
}

static void nothing(int signal) { (void)signal; }

static void waiting_ends_with_signal(void) {
    pid_t child = holder('p', 20000);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    alarm(1);
    fails(EINTR, lock(file(), F_SETLKW, F_WRLCK, 0, 0));
    must(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    must(lock(file(), F_SETLK, F_WRLCK, 0, 0) == 0);  // what the dead held is free
}

static void deadlock_is_seen(void) {
    int fd = file(), pipes[2];
    must(pipe2(pipes, O_CLOEXEC) == 0);
    must(lock(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
    pid_t child = fork();
    if (child == 0) {
        int own = file();
        if (lock(own, F_SETLK, F_WRLCK, 1, 1) < 0 || write(pipes[1], "x", 1) != 1) _exit(1);
        _exit(lock(own, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : 2);
    }
    char byte;
    equal(read(pipes[0], &byte, 1), 1);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    fails(EDEADLK, lock(fd, F_SETLKW, F_WRLCK, 1, 1));
    must(lock(fd, F_SETLK, F_UNLCK, 0, 1) == 0);
    int status;
    must(waitpid(child, &status, 0) == child);
    equal(status, 0);
}

static void open_file_locks(void) {
    int one = file(), two = file();
    must(lock(one, F_OFD_SETLK, F_WRLCK, 0, 10) == 0);
    fails(EAGAIN, lock(two, F_OFD_SETLK, F_RDLCK, 5, 1));
    must(lock(two, F_OFD_SETLK, F_RDLCK, 10, 1) == 0);
    close(file());  // no other close takes them
    fails(EAGAIN, lock(two, F_OFD_SETLK, F_RDLCK, 5, 1));
    fails(EAGAIN, lock(two, F_SETLK, F_RDLCK, 5, 1));
    must(close(one) == 0);
    must(lock(two, F_OFD_SETLK, F_WRLCK, 5, 1) == 0);
    must(lock(two, F_OFD_SETLK, F_UNLCK, 0, 0) == 0);
    holder('o', 300);
    must(lock(two, F_OFD_SETLKW, F_WRLCK, 0, 0) == 0);
}

static void flock_excludes(void) {
    int one = file(), two = file();
    must(flock(one, LOCK_SH) == 0 && flock(two, LOCK_SH) == 0);
    fails(EAGAIN, flock(one, LOCK_EX | LOCK_NB));
    must(flock(two, LOCK_UN) == 0);
    must(flock(one, LOCK_EX | LOCK_NB) == 0);
    if (in_child()) {
        fails(EAGAIN, flock(file(), LOCK_SH | LOCK_NB));
        must(flock(one, LOCK_EX | LOCK_NB) == 0);  // inherited: the same open file
        leave();
    }
    fails(EAGAIN, flock(two, LOCK_SH | LOCK_NB));
    must(close(one) == 0);
    must(flock(two, LOCK_EX | LOCK_NB) == 0);
    must(flock(two, LOCK_UN) == 0);
    holder('f', 300);
    must(flock(two, LOCK_EX) == 0);
}

static void flock_and_fcntl_are_apart(void) {
    int one = file();
    must(flock(one, LOCK_EX) == 0);
    if (in_child()) {
        must(lock(file(), F_SETLK, F_WRLCK, 0, 0) == 0);
        leave();
    }
}

static void read_lock_needs_reading(void) {
    file();
    fails(EBADF, lock(open("a", O_RDONLY | O_CLOEXEC), F_SETLK, F_WRLCK, 0, 0));
    fails(EBADF, lock(open("a", O_WRONLY | O_CLOEXEC), F_SETLK, F_RDLCK, 0, 0));
}

const struct check lock_checks[] = {
    CHECK(posix_locks_exclude),
    CHECK(posix_lock_goes_with_any_close),
    CHECK_WITHIN(60, posix_lock_waits),
    CHECK_WITHIN(60, waiting_ends_with_signal),
    CHECK_WITHIN(60, deadlock_is_seen),
    CHECK_WITHIN(60, open_file_locks),
    CHECK_WITHIN(60, flock_excludes),
    CHECK(flock_and_fcntl_are_apart),
    CHECK(read_lock_needs_reading),
    END,
};

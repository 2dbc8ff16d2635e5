// What stat, statx, statvfs and the clocks say.
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static struct stat status_of(const char *name) {
    struct stat status;
    must(lstat(name, &status) == 0);
    return status;
}

static int before(struct timespec a, struct timespec b) {
    return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

static void pause_a_little(void) { nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL); }

static void times_to_the_nanosecond(void) {
    put_text("a", "");
    struct timespec times[2] = {{1234567890, 123456789}, {987654321, 987654321}};
    must(utimensat(AT_FDCWD, "a", times, 0) == 0);
    struct stat status = status_of("a");
    equal(status.st_atim.tv_sec, 1234567890);
    equal(status.st_atim.tv_nsec, 123456789);
    equal(status.st_mtim.tv_sec, 987654321);
    equal(status.st_mtim.tv_nsec, 987654321);
}

static void times_now_and_omit(void) {
    put_text("a", "");
    must(utimensat(AT_FDCWD, "a", (struct timespec[2]){{1000, 1}, {2000, 2}}, 0) == 0);
    must(utimensat(AT_FDCWD, "a", (struct timespec[2]){{0, UTIME_OMIT}, {3000, 3}}, 0) == 0);
    struct stat status = status_of("a");
    equal(status.st_atim.tv_sec, 1000);
    equal(status.st_mtim.tv_sec, 3000);
    must(utimensat(AT_FDCWD, "a", (struct timespec[2]){{0, UTIME_NOW}, {0, UTIME_OMIT}}, 0) == 0);
    struct stat now = status_of("a");
    must(llabs((long long)now.st_atim.tv_sec - (long long)time(NULL)) < 5);
    equal(now.st_mtim.tv_sec, 3000);
    pause_a_little();
    must(utimensat(AT_FDCWD, "a", (struct timespec[2]){{0, UTIME_OMIT}, {0, UTIME_OMIT}}, 0) == 0);
    struct stat same = status_of("a");
    must(!before(now.st_ctim, same.st_ctim));
    fails(EINVAL, utimensat(AT_FDCWD, "a", (struct timespec[2]){{0, 1000000000}, {0, 0}}, 0));
}

static void times_far_away(void) {
    put_text("a", "");
    must(utimensat(AT_FDCWD, "a", (struct timespec[2]){{-1000, 5}, {5000000000, 6}}, 0) == 0);
    struct stat status = status_of("a");
    equal(status.st_atim.tv_sec, -1000);
    equal(status.st_atim.tv_nsec, 5);
    equal(status.st_mtim.tv_sec, 5000000000);
}

static void times_of_symlink(void) {
    must(symlink("nowhere", "l") == 0);
    must(utimensat(AT_FDCWD, "l", (struct timespec[2]){{11, 12}, {13, 14}}, AT_SYMLINK_NOFOLLOW) == 0);
    struct stat status = status_of("l");
    equal(status.st_mtim.tv_sec, 13);
    equal(status.st_mtim.tv_nsec, 14);
}

// The clock of a file system is coarse (a tick), so it may be behind the one of clock_gettime.
static void writing_moves_mtime(void) {
    put_text("a", "");
    must(utimensat(AT_FDCWD, "a", (struct timespec[2]){{1000, 0}, {1000, 0}}, 0) == 0);
    int fd = open("a", O_WRONLY | O_CLOEXEC);
    struct stat old = status_of("a");
    pause_a_little();
    equal(write(fd, "x", 1), 1);
    struct stat now;
    must(fstat(fd, &now) == 0);
    must(before(old.st_mtim, now.st_mtim) && before(old.st_ctim, now.st_ctim));
    must(close(fd) == 0);
    struct stat closed = status_of("a");
    equal(closed.st_mtim.tv_sec, now.st_mtim.tv_sec);
    must(utimensat(AT_FDCWD, "a", (struct timespec[2]){{1000, 0}, {1000, 0}}, 0) == 0);
    must(truncate("a", 100) == 0);
    must(status_of("a").st_mtim.tv_sec > 1000);
}

static void written_then_set_time_stays(void) {
    // As tar and rsync do: write, set the time through the descriptor, close. Data written late must not move it.
    int fd = open("a", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    equal(write(fd, "content", 7), 7);
    must(futimens(fd, (struct timespec[2]){{100, 1}, {200, 2}}) == 0);
    must(close(fd) == 0);
    must(syncfs(open(".", O_RDONLY | O_CLOEXEC)) == 0);
    struct stat status = status_of("a");
    equal(status.st_mtim.tv_sec, 200);
    equal(status.st_mtim.tv_nsec, 2);
}

static void changes_move_ctime(void) {
    put_text("a", "");
    struct stat old = status_of("a");
    pause_a_little();
    must(chmod("a", 0600) == 0);
    struct stat now = status_of("a");
    must(before(old.st_ctim, now.st_ctim));
    pause_a_little();
    must(link("a", "b") == 0);
    must(before(now.st_ctim, status_of("a").st_ctim));
    now = status_of("a");
    pause_a_little();
    must(unlink("b") == 0);
    must(before(now.st_ctim, status_of("a").st_ctim));
}

static void folder_moves_mtime(void) {
    struct stat old = status_of(".");
    pause_a_little();
    put_text("a", "");
    struct stat now = status_of(".");
    must(before(old.st_mtim, now.st_mtim));
    pause_a_little();
    must(unlink("a") == 0);
    must(before(now.st_mtim, status_of(".").st_mtim));
}

static void statx_fields(void) {
    struct statx x;
    put_text("a", "12345");
    must(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &x) == 0);
    must((x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    equal(x.stx_size, 5);
    equal(x.stx_mode, S_IFREG | 0644);
    struct stat here = status_of("."), file = status_of("a");
    equal(here.st_dev, file.st_dev);
    must(file.st_blksize >= 512);
    equal(x.stx_ino, file.st_ino);
}

static void birth_time(void) {
    struct statx x;
    put_text("a", "");
    must(statx(AT_FDCWD, "a", 0, STATX_BTIME, &x) == 0);
    must(x.stx_mask & STATX_BTIME);
    must(llabs((long long)x.stx_btime.tv_sec - (long long)time(NULL)) < 5);
}

static void statvfs_fields(void) {
    struct statvfs is;
    must(statvfs(".", &is) == 0);
    equal(is.f_namemax, 255);
    must(is.f_bsize > 0 && is.f_frsize > 0 && is.f_blocks > 0);
    must(is.f_bavail <= is.f_bfree && is.f_bfree < is.f_blocks);
    must(is.f_files > 0 && is.f_ffree <= is.f_files);
    must(fstatvfs(open(".", O_RDONLY | O_CLOEXEC), &is) == 0);
}

// What programs that name files by number (backups, NFS servers) do.
static void open_by_handle(void) {
    union {
        struct file_handle handle;
        char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } file = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount;
    put_text("a", "content");
    must(name_to_handle_at(AT_FDCWD, "a", &file.handle, &mount, 0) == 0);
    must(rename("a", "b") == 0);
    int fd = open_by_handle_at(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), &file.handle, O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    char bytes[16];
    equal(read(fd, bytes, sizeof bytes), 7);
}

const struct check status_checks[] = {
    CHECK(times_to_the_nanosecond),
    CHECK(times_now_and_omit),
    CHECK(times_far_away),
    CHECK(times_of_symlink),
    CHECK(writing_moves_mtime),
    CHECK(written_then_set_time_stays),
    CHECK(changes_move_ctime),
    CHECK(folder_moves_mtime),
    CHECK(statx_fields),
    CHECK(birth_time),
    CHECK(statvfs_fields),
    CHECK(open_by_handle),
    END,
};

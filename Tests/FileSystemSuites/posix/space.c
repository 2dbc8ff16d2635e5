// The size of files and the space they take: truncation, holes, preallocation, files larger than 4 GiB.
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20 };
static const off_t GIB = 1 << 30;

static int filled(off_t size) {
    char block[PAGE];
    memset(block, 'f', sizeof block);
    int fd = open("a", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
    must(fd >= 0);
    for (off_t at = 0; at < size; at += PAGE) equal(pwrite(fd, block, PAGE, at), PAGE);
    must(fsync(fd) == 0);
    return fd;
}

static int byte_at(int fd, off_t at) {
    unsigned char byte;
    ssize_t count = pread(fd, &byte, 1, at);
    must(count >= 0);
    return count == 0 ? -1 : byte;
}

static struct stat status_of(int fd) {
    struct stat status;
    must(fstat(fd, &status) == 0);
    return status;
}

static void truncate_shrinks_and_grows(void) {
    int fd = filled(4 * PAGE);
    must(ftruncate(fd, PAGE + 100) == 0);
    equal(status_of(fd).st_size, PAGE + 100);
    equal(byte_at(fd, PAGE + 99), 'f');
    equal(byte_at(fd, PAGE + 100), -1);
    must(truncate("a", 3 * PAGE) == 0);
    equal(byte_at(fd, PAGE + 99), 'f');
    equal(byte_at(fd, PAGE + 100), 0);
    equal(byte_at(fd, 3 * PAGE - 1), 0);
    must(truncate("a", 0) == 0);
    equal(status_of(fd).st_size, 0);
    fails(EISDIR, (mkdir("d", 0755), truncate("d", 0)));
}

static void write_behind_the_end(void) {
    int fd = filled(PAGE);
    equal(pwrite(fd, "x", 1, 10 * PAGE), 1);
    equal(byte_at(fd, 5 * PAGE), 0);
    equal(byte_at(fd, 10 * PAGE), 'x');
    equal(lseek(fd, 0, SEEK_END), 10 * PAGE + 1);
}

static void sparse_file_over_4_gib(void) {
    int fd = open("a", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    equal(pwrite(fd, "low", 3, GIB), 3);
    equal(pwrite(fd, "high", 4, 5 * GIB + 1), 4);
    must(fsync(fd) == 0);
    equal(status_of(fd).st_size, 5 * GIB + 5);
    must(status_of(fd).st_blocks < 2 * MIB / 512);
    equal(byte_at(fd, 5 * GIB + 4), 'h');
    equal(byte_at(fd, GIB + 2), 'w');
    equal(byte_at(fd, GIB + 1 - GIB), 0);
    equal(byte_at(fd, 5 * GIB), 0);
    must(ftruncate(fd, 6 * GIB) == 0);
    equal(lseek(fd, -1, SEEK_END), 6 * GIB - 1);
    must(ftruncate(fd, 4 * GIB + 1) == 0);
    equal(status_of(fd).st_size, 4 * GIB + 1);
}

static void seek_data_and_hole(void) {
    int fd = open("a", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    equal(pwrite(fd, "x", 1, MIB), 1);
    equal(pwrite(fd, "y", 1, 3 * MIB), 1);
    must(ftruncate(fd, 4 * MIB) == 0);
    must(fsync(fd) == 0);
    equal(lseek(fd, 0, SEEK_HOLE), 0);
    equal(lseek(fd, 0, SEEK_DATA), MIB);
    equal(lseek(fd, MIB, SEEK_HOLE), MIB + PAGE);
    equal(lseek(fd, MIB + PAGE, SEEK_DATA), 3 * MIB);
    equal(lseek(fd, 3 * MIB, SEEK_HOLE), 3 * MIB + PAGE);
    fails(ENXIO, lseek(fd, 3 * MIB + PAGE, SEEK_DATA));
    fails(ENXIO, lseek(fd, 4 * MIB, SEEK_HOLE));
}

// Data that no fsync has sent off yet is data.
static void seek_data_not_yet_written(void) {
    int fd = open("a", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    equal(pwrite(fd, "x", 1, MIB), 1);
    equal(lseek(fd, 0, SEEK_DATA), MIB);
    equal(lseek(fd, 0, SEEK_END), MIB + 1);
}

static void fallocate_plain(void) {
    int fd = filled(PAGE);
    must(fallocate(fd, 0, 0, MIB) == 0);
    equal(status_of(fd).st_size, MIB);
    must(status_of(fd).st_blocks >= MIB / 512);
    equal(byte_at(fd, MIB - 1), 0);
    equal(byte_at(fd, 0), 'f');
    must(fallocate(fd, FALLOC_FL_KEEP_SIZE, MIB, MIB) == 0);
    equal(status_of(fd).st_size, MIB);
    must(status_of(fd).st_blocks >= 2 * MIB / 512);
    must(posix_fallocate(fd, 3 * MIB, PAGE) == 0);
    equal(status_of(fd).st_size, 3 * MIB + PAGE);
    fails(EINVAL, fallocate(fd, 0, 0, 0));
    fails(EBADF, fallocate(open("a", O_RDONLY | O_CLOEXEC), 0, 0, PAGE));
}

static void fallocate_punch(void) {
    int fd = filled(64 * PAGE);
    blkcnt_t full = status_of(fd).st_blocks;
    must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * PAGE + 100, 20 * PAGE) == 0);
    equal(status_of(fd).st_size, 64 * PAGE);
    must(status_of(fd).st_blocks < full);
    equal(byte_at(fd, 10 * PAGE + 99), 'f');
    equal(byte_at(fd, 10 * PAGE + 100), 0);
    equal(byte_at(fd, 20 * PAGE), 0);
    equal(byte_at(fd, 30 * PAGE + 99), 0);
    equal(byte_at(fd, 30 * PAGE + 100), 'f');
    equal(lseek(fd, 0, SEEK_HOLE), 11 * PAGE);
    equal(lseek(fd, 11 * PAGE, SEEK_DATA), 30 * PAGE);
}

static void fallocate_zero(void) {
    int fd = filled(8 * PAGE);
    must(fallocate(fd, FALLOC_FL_ZERO_RANGE, PAGE + 1, PAGE) == 0);
    equal(byte_at(fd, PAGE), 'f');
    equal(byte_at(fd, PAGE + 1), 0);
    equal(byte_at(fd, 2 * PAGE), 0);
    equal(byte_at(fd, 2 * PAGE + 1), 'f');
    must(fallocate(fd, FALLOC_FL_ZERO_RANGE, 7 * PAGE, 5 * PAGE) == 0);
    equal(status_of(fd).st_size, 12 * PAGE);
    must(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 12 * PAGE, PAGE) == 0);
    equal(status_of(fd).st_size, 12 * PAGE);
}

static void fallocate_collapse(void) {
    int fd = filled(8 * PAGE);
    equal(pwrite(fd, "x", 1, 4 * PAGE), 1);
    must(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, PAGE, 2 * PAGE) == 0);
    equal(status_of(fd).st_size, 6 * PAGE);
    equal(byte_at(fd, 2 * PAGE), 'x');
}

static void size_seen_by_others(void) {
    int fd = filled(PAGE), other = open("a", O_RDONLY | O_CLOEXEC);
    equal(pwrite(fd, "12345", 5, PAGE), 5);
    equal(status_of(other).st_size, PAGE + 5);
    equal(byte_at(other, PAGE + 4), '5');
    must(ftruncate(fd, 3) == 0);
    equal(status_of(other).st_size, 3);
    equal(byte_at(other, 3), -1);
    struct stat status;
    must(stat("a", &status) == 0);
    equal(status.st_size, 3);
}

static void limit_of_file_size(void) {
    int fd = open("a", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    fails(EFBIG, ftruncate(fd, 0x7fffffffffffffff));
}

const struct check space_checks[] = {
    CHECK(truncate_shrinks_and_grows),
    CHECK(write_behind_the_end),
    CHECK(sparse_file_over_4_gib),
    CHECK(seek_data_and_hole),
    CHECK(seek_data_not_yet_written),
    CHECK(fallocate_plain),
    CHECK(fallocate_punch),
    CHECK(fallocate_zero),
    CHECK(fallocate_collapse),
    CHECK(size_seen_by_others),
    CHECK(limit_of_file_size),
    END,
};

// fsx FILE SEED COUNT: COUNT random operations on a file, each of them done on memory as well; what is read, in whatever
// way, must be what is in memory. Prints `ok fsx_SEED`, or where the two parted and the operations before that.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 512 << 10, LONGEST = 96 << 10, PAGE = 4096, KEPT = 12 };

static unsigned char model[MOST], buffer[MOST];
static off_t size;
static int fd = -1, other = -1;  // the second, for reading, stays open
static const char *path, *seed_name;
static uint64_t state;
static char history[KEPT][80];
static unsigned long done;

static uint32_t any(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (uint32_t)(state >> 16) % below : 0;
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(history[done % KEPT], sizeof history[0], format, values);
    va_end(values);
}

static void fail(const char *what) {
    printf("not ok fsx_%s: operation %lu: %s", seed_name, done, what);
    for (unsigned long i = done < KEPT ? 0 : done - KEPT + 1; i <= done; i++) printf("; %s", history[i % KEPT]);
    printf("\n");
    exit(1);
}

static void fail_errno(const char *what) {
    char text[128];
    snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
    fail(text);
}

static void open_file(int flags) {
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0) fail_errno("open");
}

static void compare(const unsigned char *is, off_t at, size_t length, const char *how) {
    for (size_t i = 0; i < length; i++) {
        if (is[i] == model[at + (off_t)i]) continue;
        char text[128];
        snprintf(text, sizeof text, "%s at %lld: 0x%02x, not 0x%02x", how, (long long)at + (long long)i, is[i],
                 model[at + (off_t)i]);
        fail(text);
    }
}

static void read_by(int descriptor, off_t at, size_t length, const char *how) {
    ssize_t expected = at >= size ? 0 : (off_t)length > size - at ? (ssize_t)(size - at) : (ssize_t)length;
    ssize_t count = pread(descriptor, buffer, length, at);
    if (count < 0) fail_errno(how);
    if (count != expected) {
        char text[128];
        snprintf(text, sizeof text, "%s: %zd bytes, not %zd", how, count, expected);
        fail(text);
    }
    compare(buffer, at, (size_t)count, how);
}

static void fill(off_t at, size_t length) {
    for (size_t i = 0; i < length; i++) model[at + (off_t)i] = (unsigned char)(done + i * 31);
    if (at + (off_t)length > size) size = at + (off_t)length;
}

static void map(off_t at, size_t length, int writing) {
    if (at >= size) return;
    if ((off_t)length > size - at) length = (size_t)(size - at);
    off_t start = at & ~(off_t)(PAGE - 1);
    size_t whole = (size_t)(at - start) + length;
    unsigned char *memory = mmap(NULL, whole, writing ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, start);
    if (memory == MAP_FAILED) fail_errno("mmap");
    if (writing) {
        fill(at, length);
        memcpy(memory + (at - start), model + at, length);
        if (any(2) && msync(memory, whole, any(2) ? MS_SYNC : MS_ASYNC) < 0) fail_errno("msync");
    } else {
        compare(memory + (at - start), at, length, "mapped");
    }
    if (munmap(memory, whole) < 0) fail_errno("munmap");
}

static void zero(off_t at, size_t length) {
    if (at >= size) return;
    memset(model + at, 0, (off_t)length > size - at ? (size_t)(size - at) : length);
}

static void allocate(int mode, off_t at, size_t length) {
    if (fallocate(fd, mode, at, (off_t)length) < 0) fail_errno("fallocate");
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) zero(at, length);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && at + (off_t)length > size) size = at + (off_t)length;
}

static void copy(off_t from, off_t to, size_t length) {
    if (from >= size) return;
    if ((off_t)length > size - from) length = (size_t)(size - from);
    if ((from <= to && from + (off_t)length > to) || (to <= from && to + (off_t)length > from)) return;
    memcpy(buffer, model + from, length);
    off_t in = from, out = to;
    for (size_t left = length; left;) {
        ssize_t count = copy_file_range(fd, &in, fd, &out, left, 0);
        if (count <= 0) fail_errno("copy_file_range");
        left -= (size_t)count;
    }
    memcpy(model + to, buffer, length);
    if (to + (off_t)length > size) size = to + (off_t)length;
}

static void check_size(void) {
    struct stat by_name, by_descriptor;
    if (stat(path, &by_name) < 0 || fstat(fd, &by_descriptor) < 0) fail_errno("stat");
    if (by_name.st_size == size && by_descriptor.st_size == size) return;
    char text[128];
    snprintf(text, sizeof text, "size %lld by name, %lld by descriptor, not %lld", (long long)by_name.st_size,
             (long long)by_descriptor.st_size, (long long)size);
    fail(text);
}

static void step(void) {
    size_t length = any(8) ? any(LONGEST) + 1 : any(300) + 1;
    off_t at = any(MOST - (uint32_t)length);
    if (any(4) == 0) at &= ~(off_t)(PAGE - 1);
    switch (any(16)) {
    case 0:
    case 1:
    case 2:
        note("write %lld+%zu", (long long)at, length);
        fill(at, length);
        if (pwrite(fd, model + at, length, at) != (ssize_t)length) fail_errno("pwrite");
        break;
    case 3:
    case 4:
        note("read %lld+%zu", (long long)at, length);
        read_by(fd, at, length, "read");
        break;
    case 5:
        note("read by the other %lld+%zu", (long long)at, length);
        read_by(other, at, length, "read by the other");
        break;
    case 6:
    case 7:
        note("map and read %lld+%zu", (long long)at, length);
        map(at, length, 0);
        break;
    case 8:
    case 9:
        note("map and write %lld+%zu", (long long)at, length);
        map(at, length, 1);
        break;
    case 10: {
        off_t new_size = any(3) ? at : size - any((uint32_t)size + 1);
        note("truncate %lld", (long long)new_size);
        if ((any(2) ? ftruncate(fd, new_size) : truncate(path, new_size)) < 0) fail_errno("truncate");
        if (new_size < size)
            memset(model + new_size, 0, (size_t)(size - new_size));
        size = new_size;
        break;
    }
    case 11:
        note("punch %lld+%zu", (long long)at, length);
        allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length);
        break;
    case 12:
        note("zero %lld+%zu", (long long)at, length);
        allocate(any(2) ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, at, length);
        break;
    case 13:
        note("allocate %lld+%zu", (long long)at, length);
        allocate(any(2) ? 0 : FALLOC_FL_KEEP_SIZE, at, length);
        break;
    case 14: {
        off_t to = any(MOST - (uint32_t)length);
        note("copy %lld+%zu to %lld", (long long)at, length, (long long)to);
        copy(at, to, length);
        break;
    }
    default:
        switch (any(3)) {
        case 0:
            note("close and open");
            close(fd);
            open_file(0);
            break;
        case 1:
            note("fsync");
            if (fsync(fd) < 0) fail_errno("fsync");
            break;
        default:
            note("drop the cache");
            if (fdatasync(fd) < 0) fail_errno("fdatasync");
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        }
    }
    check_size();
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: fsx FILE SEED COUNT\n");
        return 2;
    }
    path = words[1];
    seed_name = words[2];
    state = 0x9e3779b97f4a7c15 ^ strtoull(words[2], NULL, 10);
    unsigned long all = strtoul(words[3], NULL, 10);
    unlink(path);
    open_file(0);
    other = open(path, O_RDONLY | O_CLOEXEC);
    for (; done < all; done++) step();
    note("the whole file");
    read_by(fd, 0, MOST, "read");
    close(fd);
    close(other);
    printf("ok fsx_%s\n", seed_name);
    return 0;
}

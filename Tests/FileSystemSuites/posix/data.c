// What is written is what is read: appending, copying, direct I/O, and memory that is a file.
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20 };

static int new_file(const char *name, int flags) {
    int fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | flags, 0644);
    must(fd >= 0);
    return fd;
}

static void append_by_two(void) {
    enum { RECORDS = 500, SIZE = 37 };
    new_file("a", 0);
    for (int writer = 0; writer < 2; writer++) {
        if (fork() == 0) {
            char record[SIZE];
            int fd = open("a", O_WRONLY | O_APPEND | O_CLOEXEC);
            memset(record, 'a' + writer, SIZE);
            for (int i = 0; i < RECORDS; i++)
                if (write(fd, record, SIZE) != SIZE) _exit(1);
            _exit(0);
        }
    }
    int first, second;
    must(wait(&first) > 0 && wait(&second) > 0);
    equal(first | second, 0);
    static char all[2 * RECORDS * SIZE + 1];
    int fd = open("a", O_RDONLY | O_CLOEXEC), counts[2] = {0, 0};
    equal(read(fd, all, sizeof all), 2 * RECORDS * SIZE);
    for (int i = 0; i < 2 * RECORDS; i++) {
        char *record = all + i * SIZE;
        for (int j = 1; j < SIZE; j++) equal(record[j], record[0]);
        counts[record[0] - 'a']++;
    }
    equal(counts[0], RECORDS);
}

static void append_with_position(void) {
    int fd = new_file("a", O_APPEND);
    equal(write(fd, "one", 3), 3);
    equal(pwrite(fd, "two", 3, 0), 3);  // Linux appends all the same
    holds("a", "onetwo");
    equal(lseek(fd, 0, SEEK_CUR), 3);
    must(fcntl(fd, F_SETFL, 0) == 0);
    equal(pwrite(fd, "ONE", 3, 0), 3);
    holds("a", "ONEtwo");
    must(fcntl(fd, F_SETFL, O_APPEND) == 0);
    equal(pwrite(fd, "!", 1, 0), 1);
    holds("a", "ONEtwo!");
}

static void large_and_odd_sizes(void) {
    enum { SIZE = 9 * MIB + 123 };
    unsigned char *out = malloc(SIZE), *in = malloc(SIZE + 1);
    unsigned random = 1;
    for (int i = 0; i < SIZE; i++) out[i] = (unsigned char)((random = random * 1103515245 + 12345) >> 16);
    int fd = new_file("a", 0);
    equal(pwrite(fd, out, SIZE, 77), SIZE);
    int again = open("a", O_RDONLY | O_CLOEXEC);
    equal(pread(again, in, SIZE + 1, 77), SIZE);
    must(!memcmp(in, out, SIZE));
    posix_fadvise(again, 0, 0, POSIX_FADV_DONTNEED);
    for (int at = 0; at < SIZE; at += 65537) {
        int size = SIZE - at < 65537 ? SIZE - at : 65537;
        equal(pread(again, in + at, (size_t)size, 77 + at), size);
    }
    must(!memcmp(in, out, SIZE));
    equal(pread(again, in, 1, 77 + SIZE), 0);
    equal(pread(again, in, 10, 70 + SIZE), 7);
}

static void many_pieces(void) {
    struct iovec pieces[1024];
    static char bytes[1024 * 7], back[1024 * 7];
    for (int i = 0; i < 1024; i++) {
        memset(bytes + i * 7, i, 7);
        pieces[i] = (struct iovec){bytes + i * 7, 7};
    }
    int fd = new_file("a", 0);
    equal(pwritev(fd, pieces, 1024, 3), sizeof bytes);
    equal(pread(fd, back, sizeof back, 3), sizeof back);
    must(!memcmp(bytes, back, sizeof back));
}

static void wrong_descriptors(void) {
    char byte = 0;
    put_text("a", "a");
    fails(EBADF, write(open("a", O_RDONLY | O_CLOEXEC), &byte, 1));
    fails(EBADF, read(open("a", O_WRONLY | O_CLOEXEC), &byte, 1));
    fails(EINVAL, lseek(open("a", O_RDONLY | O_CLOEXEC), -1, SEEK_SET));
    fails(EINVAL, ftruncate(open("a", O_RDONLY | O_CLOEXEC), 0));
    fails(EINVAL, truncate("a", -1));
    fails(EBADF, read(open("a", O_PATH | O_CLOEXEC), &byte, 1));
}

static void direct_io(void) {
    char *block;
    must(posix_memalign((void **)&block, PAGE, 16 * PAGE) == 0);
    memset(block, 'd', 16 * PAGE);
    int fd = new_file("a", O_DIRECT);
    equal(pwrite(fd, block, 16 * PAGE, PAGE), 16 * PAGE);
    int cached = open("a", O_RDWR | O_CLOEXEC);
    char byte;
    equal(pread(cached, &byte, 1, 17 * PAGE - 1), 1);
    equal(byte, 'd');
    equal(pwrite(cached, "cached", 6, PAGE), 6);
    memset(block, 0, PAGE);
    equal(pread(fd, block, PAGE, PAGE), PAGE);
    must(!memcmp(block, "cachedddd", 9));
    memset(block, 'e', PAGE);
    equal(pwrite(fd, block, PAGE, PAGE), PAGE);
    equal(pread(cached, &byte, 1, PAGE), 1);
    equal(byte, 'e');
    equal(pread(fd, block, PAGE, 32 * PAGE), 0);
}

static void copy_of_range(void) {
    char *bytes = malloc(3 * MIB), *back = malloc(3 * MIB);
    for (int i = 0; i < 3 * MIB; i++) bytes[i] = (char)(i * 7 + i / 977);
    int from = new_file("a", 0), to = new_file("b", 0);
    equal(write(from, bytes, 3 * MIB), 3 * MIB);
    off_t in = 5, out = 100;
    size_t left = 3 * MIB - 5;
    while (left) {
        ssize_t count = copy_file_range(from, &in, to, &out, left, 0);
        must(count > 0);
        left -= (size_t)count;
    }
    equal(in, 3 * MIB);
    equal(pread(to, back, 3 * MIB, 100), 3 * MIB - 5);
    must(!memcmp(back, bytes + 5, 3 * MIB - 5));
    in = 0;
    out = 2 * MIB;
    equal(copy_file_range(from, &in, from, &out, 1000, 0), 1000);
    equal(pread(from, back, 1000, 2 * MIB), 1000);
    must(!memcmp(back, bytes, 1000));
    in = 0;
    out = 10;
    fails(EINVAL, copy_file_range(from, &in, from, &out, 100, 0));  // they overlap
    in = 0;
    fails(EBADF, copy_file_range(from, &in, open("b", O_RDONLY | O_CLOEXEC), NULL, 1, 0));
}

static void send_and_splice(void) {
    char back[2000];
    int pipes[2];
    put("a", memset(back, 's', sizeof back), sizeof back, 0644);
    int from = open("a", O_RDONLY | O_CLOEXEC), to = new_file("b", 0);
    equal(sendfile(to, from, NULL, 2000), 2000);
    must(pipe2(pipes, O_CLOEXEC) == 0);
    loff_t at = 0;
    equal(splice(from, &at, pipes[1], NULL, 2000, 0), 2000);
    at = 5000;
    equal(splice(pipes[0], NULL, to, &at, 2000, 0), 2000);
    equal(pread(to, back, 2000, 5000), 2000);
    must(back[0] == 's' && back[1999] == 's');
}

static void sync_of_file(void) {
    int fd = new_file("a", O_SYNC);
    equal(write(fd, "x", 1), 1);
    must(fsync(fd) == 0 && fdatasync(fd) == 0 && syncfs(fd) == 0);
    must(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0);
    must(new_file("b", O_DSYNC) >= 0);
}

const struct check data_checks[] = {
    CHECK(append_by_two),     CHECK(append_with_position), CHECK(large_and_odd_sizes), CHECK(many_pieces),
    CHECK(wrong_descriptors), CHECK(direct_io),            CHECK(copy_of_range),       CHECK(send_and_splice),
    CHECK(sync_of_file),      END,
};

// --- memory -----------------------------------------------------------------------------------------------------------

static char *map(int fd, size_t size, int flags) {
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    must(memory != MAP_FAILED);
    return memory;
}

static void map_shared(void) {
    int fd = new_file("a", 0);
    must(ftruncate(fd, 3 * PAGE) == 0);
    char *memory = map(fd, 3 * PAGE, MAP_SHARED), byte;
    memcpy(memory + PAGE, "mapped", 6);
    char back[6];
    equal(pread(fd, back, 6, PAGE), 6);
    must(!memcmp(back, "mapped", 6));
    equal(pwrite(fd, "w", 1, 2 * PAGE), 1);
    equal(memory[2 * PAGE], 'w');
    if (in_child()) {
        char *own = map(open("a", O_RDWR | O_CLOEXEC), 3 * PAGE, MAP_SHARED);
        must(!memcmp(own + PAGE, "mapped", 6));
        own[0] = 'c';
        leave();
    }
    equal(memory[0], 'c');
    must(msync(memory, 3 * PAGE, MS_SYNC) == 0);
    must(munmap(memory, 3 * PAGE) == 0);
    must(close(fd) == 0);
    fd = open("a", O_RDONLY | O_CLOEXEC);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    equal(pread(fd, &byte, 1, 0), 1);
    equal(byte, 'c');
}

static void map_private(void) {
    put_text("a", "original");
    int fd = open("a", O_RDONLY | O_CLOEXEC);
    char *memory = map(fd, PAGE, MAP_PRIVATE);
    memcpy(memory, "changed!", 8);
    holds("a", "original");
    equal(memory[100], 0);
    memory[100] = 1;
    equal(munmap(memory, PAGE), 0);
    fails(EACCES, (intptr_t)mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0));
}

static sigjmp_buf landing;
static void land(int signal) { siglongjmp(landing, signal); }

static void map_beyond_the_end(void) {
    int fd = new_file("a", 0);
    must(ftruncate(fd, PAGE + 10) == 0);
    char *memory = map(fd, 4 * PAGE, MAP_SHARED);
    memory[PAGE + 5] = 'x';
    memory[PAGE + 50] = 'y';  // in the last page, and in no file
    signal(SIGBUS, land);
    int caught = sigsetjmp(landing, 1);
    if (!caught) memory[3 * PAGE] = 'z';
    equal(caught, SIGBUS);
    // What lies behind the end comes back as zeros.
    must(msync(memory, PAGE, MS_SYNC) == 0);
    must(ftruncate(fd, 2 * PAGE) == 0);
    char back[100];
    equal(pread(fd, back, 100, PAGE), 100);
    equal(back[5], 'x');
    equal(back[50], 0);
    must(ftruncate(fd, 10) == 0);
    signal(SIGBUS, land);
    caught = sigsetjmp(landing, 1);
    if (!caught) memory[PAGE] = 'z';
    equal(caught, SIGBUS);
}

static void map_of_unlinked(void) {
    int fd = new_file("a", 0);
    must(ftruncate(fd, 64 * PAGE) == 0);
    char *memory = map(fd, 64 * PAGE, MAP_SHARED);
    must(unlink("a") == 0);
    memset(memory, 'm', 64 * PAGE);
    must(close(fd) == 0);
    must(msync(memory, 64 * PAGE, MS_SYNC) == 0);
    must(madvise(memory, 64 * PAGE, MADV_DONTNEED) == 0);
    equal(memory[63 * PAGE], 'm');
}

static void program_runs_from_it(void) {
    static char all[16 << 20];
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, all, sizeof all);
    must(size > 0);
    put("program", all, (size_t)size, 0755);
    must(mkdir("f", 0777) == 0);
    if (in_child()) {
        must(dup2(open("/dev/null", O_RDWR | O_CLOEXEC), 1) >= 0 && dup2(1, 2) >= 0);
        execl("./program", "program", "f", "no-such-check", NULL);
        must(0);
    }
    fails(ENOEXEC, (put("text", "x", 1, 0755), execl("./text", "text", NULL)));
    fails(EACCES, (put("plain", all, (size_t)size, 0644), execl("./plain", "plain", NULL)));
}

const struct check map_checks[] = {
    CHECK(map_shared),      CHECK(map_private),          CHECK(map_beyond_the_end),
    CHECK(map_of_unlinked), CHECK(program_runs_from_it), END,
};

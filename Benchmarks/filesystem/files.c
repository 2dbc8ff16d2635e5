// What the file system benchmark does inside the guest: `files WRITABLE ARCHIVE TREES...` works in the folder WRITABLE,
// unpacks ARCHIVE, walks TREES, whose names say how many files are in them, and prints a line for each operation: its
// name, a tabulator, and milliseconds, or why a walk failed (virtiofsd keeps every file of the guest's cache open).
//
// What the guest has cached is dropped where a line says so, and what it has not written yet is written before the
// clock stops (sync_file_range: no fsync reaches the host's disk, whose noise is not what is measured).
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MIB = 1 << 20,
    BIG_MIB = 256,
    PAGE = 4096,
    RANDOM_OPERATIONS = 8192,
    SMALL_FILES = 10000,
    PASSES = 3,  // of what is short: each is a figure of its own
};

static char block[MIB];
static struct timespec begun;

static void fail(const char *what) {
    fprintf(stderr, "files: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void begin(void) { clock_gettime(CLOCK_MONOTONIC, &begun); }

static void end(const char *name) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%s\t%.2f\n", name, (now.tv_sec - begun.tv_sec) * 1e3 + (now.tv_nsec - begun.tv_nsec) / 1e6);
    fflush(stdout);
}

// Pages, and names and inodes, of the guest. The host keeps its own.
static void drop_caches(void) {
    sync();
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "3", 1) != 1) fail("/proc/sys/vm/drop_caches");
    close(fd);
}

static void write_out(int fd) {
    unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    if (sync_file_range(fd, 0, 0, flags) < 0) fail("sync_file_range");
}

// --- one large file ---------------------------------------------------------------------------------------------------

static void sequential_write(const char *name, const char *line) {
    begin();
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) fail(name);
    for (int i = 0; i < BIG_MIB; i++)
        if (write(fd, block, MIB) != MIB) fail("write");
    write_out(fd);
    close(fd);
    end(line);
}

static void sequential_read(const char *name) {
    drop_caches();
    begin();
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(name);
    for (int i = 0; i < BIG_MIB; i++)
        if (read(fd, block, MIB) != MIB) fail("read");
    close(fd);
    end("sequential read, 1 MiB");
}

// Each place once, in an order that is no order: an odd number steps through a power of two.
static off_t place(uint32_t index) {
    uint32_t pages = BIG_MIB * (MIB / PAGE);
    return (off_t)((index * 40503u + 12345u) % pages) * PAGE;
}

static void random_read(const char *name) {
    drop_caches();
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(name);
    begin();
    for (uint32_t i = 0; i < RANDOM_OPERATIONS; i++)
        if (pread(fd, block, PAGE, place(i)) != PAGE) fail("pread");
    end("random read, 4 KiB");
    close(fd);
}

static void random_write(const char *name) {
    drop_caches();
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    if (fd < 0) fail(name);
    begin();
    for (uint32_t i = 0; i < RANDOM_OPERATIONS; i++)
        if (pwrite(fd, block, PAGE, place(i)) != PAGE) fail("pwrite");
    write_out(fd);
    end("random write, 4 KiB");
    close(fd);
}

// --- many small files -------------------------------------------------------------------------------------------------

static void small_files(const char *folder) {
    char name[32];
    if (mkdir(folder, 0755) < 0) fail(folder);
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) fail(folder);
    begin();
    for (int i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0) fail("create");
        close(fd);
    }
    end("create 10,000 files");
    drop_caches();
    begin();
    for (int i = 0; i < SMALL_FILES; i++) {
        struct stat status;
        snprintf(name, sizeof name, "file-%d", i);
        if (fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) < 0) fail("stat");
    }
    end("stat 10,000 files, cold");
    begin();
    for (int i = 0; i < SMALL_FILES; i++) {
        snprintf(name, sizeof name, "file-%d", i);
        if (unlinkat(at, name, 0) < 0) fail("unlink");
    }
    end("unlink 10,000 files");
    close(at);
    if (rmdir(folder) < 0) fail("rmdir");
}

// --- trees ------------------------------------------------------------------------------------------------------------

// As find does: -type f needs the names alone, -size the attributes as well. Less than 0: it failed.
static long walk(int at, const char *name, int with_status) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) return -1;
    long files = 0;
    struct dirent *entry;
    while (files >= 0 && (errno = 0, entry = readdir(folder))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        struct stat status;
        if (with_status && fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
            files = -1;
        } else if (entry->d_type == DT_DIR) {
            long inside = walk(fd, entry->d_name, with_status);
            files = inside < 0 ? -1 : files + inside;
        } else {
            files++;
        }
    }
    if (errno) files = -1;
    int error = errno;
    closedir(folder);
    errno = error;
    return files;
}

static void find(const char *tree, int with_status, const char *caches) {
    const char *name = strrchr(tree, '/') + 1;
    char line[64];
    snprintf(line, sizeof line, "find%s %s files, %s", with_status ? " -size" : "", name, caches);
    begin();
    long files = walk(AT_FDCWD, tree, with_status);
    if (files < 0) {
        printf("%s\t%s\n", line, strerror(errno));
        return;
    }
    end(line);
    if (files != atol(name)) {
        fprintf(stderr, "files: %ld files in %s\n", files, tree);
        exit(1);
    }
}

static void run(char *const words[]) {
    pid_t child = vfork();
    if (child == 0) {
        execv(words[0], words);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) fail(words[0]);
}

int main(int count, char **words) {
    if (count < 3) {
        fprintf(stderr, "usage: files WRITABLE ARCHIVE TREES...\n");
        return 2;
    }
    char *archive = words[2];
    memset(block, 'x', sizeof block);
    if (chdir(words[1]) < 0) fail(words[1]);

    sequential_write("big", "sequential write, 1 MiB, new file");
    for (int i = 0; i < PASSES; i++) {
        sequential_write("big", "sequential write, 1 MiB, again");
        sequential_read("big");
        random_read("big");
        random_write("big");
    }
    if (unlink("big") < 0) fail("unlink");
    small_files("small");
    if (mkdir("unpacked", 0755) < 0) fail("unpacked");
    begin();
    run((char *[]){"/bin/busybox", "tar", "-xf", archive, "-C", "unpacked", NULL});
    end("untar of a source tree");
    begin();
    run((char *[]){"/bin/busybox", "rm", "-r", "unpacked", NULL});
    end("rm -r of it");
    for (int i = 3 * PASSES; i < count * PASSES; i++) {
        for (int with_status = 0; with_status < 2; with_status++) {
            drop_caches();
            find(words[i / PASSES], with_status, "cold");
            find(words[i / PASSES], with_status, "warm");
        }
    }
    return 0;
}

// Checks of a file system: each is a function that runs in a process and an empty folder of its own (which is the
// current one), as root, and returns when all was as it must be.
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

struct check {
    const char *name;
    void (*run)(void);
    int seconds;  // it may take; 0: 600
};

#define CHECK(function) {#function, function, 0}
#define CHECK_WITHIN(seconds, function) {#function, function, seconds}
#define END {NULL, NULL, 0}

extern const struct check rename_checks[], name_checks[], folder_checks[], node_checks[], mode_checks[],
    status_checks[], data_checks[], space_checks[], map_checks[], lock_checks[], xattr_checks[], acl_checks[], last_checks[];

// Ends the check: what did not hold, and errno.
_Noreturn void lost(const char *file, int line, const char *what, int error);
_Noreturn void differs(const char *file, int line, const char *what, long long is, long long wanted);

#define must(condition) ((condition) ? (void)0 : lost(__FILE__, __LINE__, #condition, errno))
#define equal(value, wanted)                                                                                           \
    do {                                                                                                               \
        long long value_ = (long long)(value), wanted_ = (long long)(wanted);                                          \
        if (value_ != wanted_) differs(__FILE__, __LINE__, #value, value_, wanted_);                                   \
    } while (0)
#define fails(error, call)                                                                                             \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        if ((call) != -1) lost(__FILE__, __LINE__, #call " does not fail with " #error, 0);                            \
        if (errno != (error)) lost(__FILE__, __LINE__, #call " fails, but not with " #error, errno);                   \
    } while (0)

// Runs what follows in a child: `if (as(1000)) { ...; leave(); }`. Returns 0 in the parent, when the child is done;
// what it lost, the parent lost.
int as(uid_t user);
int in_child(void);
_Noreturn void leave(void);

void put(const char *name, const void *bytes, size_t size, mode_t mode);  // a file with that content and exactly that mode
void put_text(const char *name, const char *text);
void holds(const char *name, const char *text);
mode_t mode_of(const char *name);  // without the type
ino_t inode_of(const char *name);

#endif

// Starts a program: everything between clone and exec, in C, because a forked Swift process may run nothing else.
#ifndef CSPAWN_H
#define CSPAWN_H

#include <stddef.h>
#include <sys/types.h>

// A descriptor of the caller and the number that it gets in the program. All others are closed.
struct cspawn_descriptor {
    int from;
    int to;
};

// A bind mount in the program's own mount namespace.
struct cspawn_bind {
    const char *source;
    // Below cspawn_request.share_root; missing directories, or an empty file, are made.
    const char *target;
    int read_only;
    // Takes along what is mounted below the source.
    int recursive;
};

struct cspawn_request {
    const char *path;
    char *const *arguments;
    char *const *environment;
    const struct cspawn_descriptor *descriptors;
    size_t descriptor_count;
    // A new session without a controlling terminal.
    int new_session;
    // Sent to the program when the caller's thread ends; 0 for none.
    int parent_death_signal;
    int no_new_privileges;
    // An own mount namespace: a tmpfs on this (existing) directory, and the binds below it. NULL: the caller's.
    const char *share_root;
    const struct cspawn_bind *binds;
    size_t bind_count;
};

// What a failed start was doing.
enum cspawn_step {
    CSPAWN_CLONE = 1,
    CSPAWN_PARENT_GONE,
    CSPAWN_SESSION,
    CSPAWN_NAMESPACE,
    CSPAWN_SHARE_ROOT,
    // cspawn_failure.index says which bind.
    CSPAWN_BIND_TARGET,
    CSPAWN_BIND,
    CSPAWN_BIND_READ_ONLY,
    CSPAWN_DESCRIPTORS,
    CSPAWN_EXEC,
};

struct cspawn_failure {
    int step;
    int index;
    int code;  // errno
};

// Starts the program. Returns its pid and a pidfd in *pidfd (close-on-exec), or -1 with the failure filled in.
// Returns after the exec: a pid means that the program runs. Its signal mask is empty, its handlers are the defaults.
pid_t cspawn_start(const struct cspawn_request *request, int *pidfd, struct cspawn_failure *failure);

#endif

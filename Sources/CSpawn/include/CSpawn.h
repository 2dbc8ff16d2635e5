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
    // NULL: the caller's.
    const char *directory;
    const struct cspawn_descriptor *descriptors;
    size_t descriptor_count;
    // A new session without a controlling terminal.
    int new_session;
    // Sent to the program when the caller's thread ends; 0 for none.
    int parent_death_signal;
    int no_new_privileges;
    // Runs in the mount, network, UTS and IPC namespaces of this process; 0: the caller's.
    pid_t namespaces_of;
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
    CSPAWN_DIRECTORY,
};

struct cspawn_failure {
    int step;
    int index;
    int code;  // errno
};

// Starts the program. Returns its pid and a pidfd in *pidfd (close-on-exec), or -1 with the failure filled in.
// Returns after the exec: a pid means that the program runs. Its signal mask is empty, its handlers are the defaults.
pid_t cspawn_start(const struct cspawn_request *request, int *pidfd, struct cspawn_failure *failure);

// What a container's stand-in mounts in its own namespace, at a path in the rootfs: a tree of the host, or, where the
// guest has something that the host can't reach, an empty directory that nobody can write to. Targets that are not
// there are passed over.
struct cspawn_tree {
    const char *source;    // NULL: the empty directory
    const char *target;    // resolved inside the rootfs, whatever symlinks an image has there
    int recursive;
    int read_only;
};

// CLONE_NEWUSER, which Swift does not see.
enum { CSPAWN_NEW_USER = 0x10000000 };

struct cspawn_stand_in {
    const char *rootfs;
    const struct cspawn_tree *trees;
    size_t tree_count;
    int new_network;
    // Taken last, in the container's place: from then on it can do nothing on the host.
    int new_user, new_cgroup, new_time;
    const char *time_offsets; // for /proc/self/timens_offsets
    int join_user;            // a user namespace of another's (/proc/PID/ns/user); -1: none
    // Namespaces of others to be in (descriptors of /proc/PID/ns files), and their kinds (CLONE_NEW…).
    const int *joins;
    size_t join_count;
    unsigned long joined;
    const char *hostname;  // NULL or "": the host's
    int channel;           // a SOCK_SEQPACKET socket, the supervisor at its other end
    char *title;           // the memory of the caller's arguments, for ps; NULL: leave it
    size_t title_room;
    const char *title_text;
    size_t title_length;
};

// Messages over the channel: one byte for the kind, then its data.
enum {
    CSPAWN_IN_SIGNAL = 'S',  // from the stand-in: a byte, the signal
    CSPAWN_IN_READY = 'R',   // from it: it is in the container's place
    CSPAWN_IN_FAILED = 'F',  // from it: a byte, the step (CSPAWN_PLACE_…), and an int, errno
    CSPAWN_IN_ENTER = 'E',   // to it: go to the container's place, which has been made by now
    CSPAWN_IN_EXIT = 'X',    // to it: a byte, the exit code
};

// A stand-in that can't join ends at once, with this code.
enum { CSPAWN_NOT_JOINED = 125 };

enum {
    CSPAWN_PLACE_ROOT = 1,
    CSPAWN_PLACE_PIVOT,
    CSPAWN_PLACE_TREE,
    CSPAWN_PLACE_PROC,
    CSPAWN_PLACE_CAPABILITIES,
    CSPAWN_PLACE_NAMESPACES,
};

// Makes the process that stands for a container's init on the host: the first of a pid namespace of its own, with the
// rootfs as its root, no capabilities and no program. It hands on the signals that it is sent, and ends with the exit
// code that it is told, or, when the channel ends, as if it had been killed.
// Returns its pid, or -1 and errno.
pid_t cspawn_stand_in(const struct cspawn_stand_in *request);

// Makes a process that does nothing until it is killed, which it is when the caller ends; it holds none of the caller's
// descriptors. Returns its pid, or -1 and errno.
pid_t cspawn_placeholder(void);

#endif

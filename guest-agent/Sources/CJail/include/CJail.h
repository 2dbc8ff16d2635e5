// Everything between clone and exec of a container's first process.
//
// The host compiles config.json into a plan, the agent (Swift) lays it out; the child that cjail_spawn makes carries it
// out, in order, and reports over a socket. It is C because a forked Swift runtime is no place to be in, and because the steps are
// system calls and nothing else. The child never returns: it execs or leaves by _exit.
#ifndef CJAIL_H
#define CJAIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// One step of the file system's making. The numbers are those of AgentProtocol's JailOperationKind. Destinations are paths in the container; they are resolved inside its root
// (openat2, RESOLVE_IN_ROOT), so that no symlink of the image leads out of it. Steps run in the plan's order.
enum cjail_op_kind {
    CJAIL_OP_MOUNT = 1,     // a new file system: type, source, flags, data; attributes
    CJAIL_OP_BIND,          // source (below plan.share) on target; option: recursively; attributes
    CJAIL_OP_REMOUNT,       // flags and data of what is mounted at target
    CJAIL_OP_ATTRIBUTES,    // attributes of what is mounted at target
    CJAIL_OP_PROPAGATION,   // flags (MS_SHARED and the like, MS_REC) of the mount at target
    CJAIL_OP_DEVICE,        // mknod: mode, rdev, uid, gid; option: only if the guest has such a device; flags
    CJAIL_OP_SYMLINK,       // target -> source; option: in the place of what exists, which else is left alone
    CJAIL_OP_COPY_UP,       // tmpfs at target, filled with what the directory held: flags, data
    CJAIL_OP_MASK,          // an empty, read-only thing over target, if there is something
    CJAIL_OP_READONLY,      // target read-only, if there is something
    CJAIL_OP_SYSCTL,        // source (the value) to /proc/sys/target
    CJAIL_OP_LOOPBACK,      // lo up
    CJAIL_OP_HOSTNAME,      // source
    CJAIL_OP_DOMAINNAME,    // source
    CJAIL_OP_SOCKET,        // source (in plan.sockets) on target; attributes
    CJAIL_OP_GUEST_DEVICES, // nodes of all devices of the guest below target, where there are none
};

// Of CJAIL_OP_DEVICE: something else of that name is an error, and not left as it is; the device is mounted on target.
enum { CJAIL_DEVICE_EXACTLY = 1, CJAIL_DEVICE_MOUNTED = 2 };

// Where disks are mounted in the guest, each under its serial number.
#define CJAIL_DISKS "/run/kvm/disk"

enum { CJAIL_MOST_PASSED = 60 };

struct cjail_passed {
    int fd;                    // -1: the child opens a file
    const char *path;          // in the guest
    int flags;                 // of open(2)
    uint64_t offset;
};

struct cjail_op {
    uint32_t kind;
    uint32_t option;      // 0 or 1; see the kinds
    const char *source;
    const char *target;
    const char *type;
    const char *data;
    uint64_t flags;       // MS_…
    uint64_t attr_set;    // MOUNT_ATTR_…, for this mount
    uint64_t attr_clear;
    uint64_t rattr_set;   // the same for it and all below it
    uint64_t rattr_clear;
    uint64_t rdev;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
};

struct cjail_limit {
    int resource;
    uint64_t soft;
    uint64_t hard;
};

// A program of the container's to run before its own (config.md, startContainer).
struct cjail_hook {
    const char *path;
    char *const *arguments;    // NULL at the end, as is the environment
    char *const *environment;
    uint32_t timeout;          // seconds; 0: none
};

// Namespaces of another container to live in.
struct cjail_join {
    int init;                  // a pidfd of its init
    uint64_t namespaces;       // CLONE_NEW…
};

// For sched_setattr(2).
struct cjail_scheduling {
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period; // nanoseconds
};

struct cjail_plan {
    uint64_t namespaces;       // CLONE_NEW…, made for it
    const struct cjail_join *joins;
    size_t join_count;
    const char *uid_map, *gid_map; // of a new user namespace, as /proc/PID/uid_map has them
    int cgroup;                // an O_PATH descriptor of its cgroup; -1: stay
    const char *share;         // where the share is mounted
    const char *sockets;       // a directory of the guest: where its stand-ins of the host's sockets are
    const char *rootfs;        // below the share
    const char *root;          // a directory of the guest to mount the rootfs on
    int root_readonly;
    uint64_t root_propagation; // MS_…; 0: private
    const char *time_offsets;  // for /proc/self/timens_offsets
    const struct cjail_op *ops;
    size_t op_count;
    size_t late_count;         // so many of them, from the end, wait until terminal and cwd are there

    const struct cjail_limit *limits;
    size_t limit_count;
    char *const *arguments;    // NULL at the end
    char **environment;        // NULL at the end, then one free slot: HOME
    const char *cwd;
    int stdio[3];              // -1: /dev/null; none is used with a terminal
    struct cjail_passed *passed; // what becomes descriptor 3 and those behind it
    size_t passed_count;       // at most CJAIL_MOST_PASSED
    int terminal;
    uint16_t rows, columns;
    uint32_t uid, gid;
    uint32_t stdio_owner;      // uid, as it is outside of the container's user namespace
    const uint32_t *groups;
    size_t group_count;
    int has_umask;
    uint32_t umask;
    int no_new_privileges;
    const void *filter;        // struct sock_filter each; NULL: none
    uint16_t filter_count;
    uint32_t filter_flags;     // of seccomp(2)
    uint64_t bounding, effective, permitted, inheritable, ambient;
    int has_oom_score, has_scheduling, has_io_priority, has_personality;
    int32_t oom_score;
    struct cjail_scheduling scheduling;
    int32_t io_priority;
    uint64_t personality;
    int has_memory_policy;
    uint32_t memory_mode;      // MPOL_…, with its flags
    uint64_t memory_nodes;     // a bit a node; 0: none is named
    // Processors, 64 a word; of an exec only: before it enters the container, and after.
    const uint64_t *initial_cpus, *final_cpus;
    size_t initial_cpu_words, final_cpu_words;
    const struct cjail_hook *hooks;
    size_t hook_count;
    // The container's state, for the hooks' standard input: what comes before its pid, and after it.
    const char *state_head, *state_tail;
};

// Where the child is, or what it failed at. The numbers are those of AgentProtocol's JailStep.
enum cjail_step {
    CJAIL_STEP_NAMESPACES = 1,
    CJAIL_STEP_ROOTFS,
    CJAIL_STEP_OPERATION,  // report.op says which
    CJAIL_STEP_PIVOT,
    CJAIL_STEP_TERMINAL,
    CJAIL_STEP_STDIO,      // report.op: 0, or the number of a descriptor behind them
    CJAIL_STEP_LIMITS,     // report.op says which
    CJAIL_STEP_CWD,
    CJAIL_STEP_CAPABILITIES,
    CJAIL_STEP_GROUPS,
    CJAIL_STEP_USER,
    CJAIL_STEP_LOOKUP,     // the program is not there or not executable
    CJAIL_STEP_SYNC,
    CJAIL_STEP_EXEC,
    CJAIL_STEP_JOIN,       // the namespaces of a container's init
    CJAIL_STEP_SECCOMP,
    CJAIL_STEP_HOOK,       // report.op says which; report.error is errno, or CJAIL_HOOK_… and how it ended
    CJAIL_STEP_OOM_SCORE,
    CJAIL_STEP_SCHEDULER,
    CJAIL_STEP_IO_PRIORITY,
    CJAIL_STEP_PERSONALITY,
    CJAIL_STEP_AFFINITY,   // report.op: 0 the initial one, 1 the final one
    CJAIL_STEP_TIME_OFFSETS,
    CJAIL_STEP_ID_MAPS,    // report.op: 0 uids, 1 gids, 2 becoming root in them
    CJAIL_STEP_MEMORY_POLICY,
};

// A hook that was run and did not succeed: these, and its exit code, or the signal that ended it.
enum { CJAIL_HOOK_EXITED = 0x1000, CJAIL_HOOK_SIGNALED = 0x2000, CJAIL_HOOK_TIMED_OUT = 0x3000 };

enum cjail_report_kind { CJAIL_FAILED = 1, CJAIL_TERMINAL, CJAIL_READY, CJAIL_FORKED };

// One message of the child. With CJAIL_TERMINAL comes one descriptor, the terminal's master.
struct cjail_report {
    uint32_t kind;
    uint32_t step;
    uint32_t op;
    int32_t error;
    uint64_t rootfs_mounted; // CLOCK_BOOTTIME in nanoseconds
    int32_t pid;             // with CJAIL_FORKED: of the process itself, in the caller's pid namespace
};

// Makes the child. `sync` is the child's end of a SOCK_SEQPACKET pair; the caller closes its copy.
// The child reports CJAIL_READY when all but exec is done, and execs when it has read a byte; at the end of the
// file it leaves. After a successful exec the agent reads the end of the file.
// Returns the child's pid in the caller's pid namespace; -1 and errno when there is none. With namespaces to join it is
// a helper's, which reports CJAIL_FORKED, as that of cjail_join does.
pid_t cjail_spawn(const struct cjail_plan *plan, int sync);

// Makes a process beside a container's init, in its namespaces and root: of the plan only the process counts, and
// `namespaces`, which are those of the init. What is returned is a helper, which reports CJAIL_FORKED and leaves; the
// process itself is a child of the caller too, and goes on as that of cjail_spawn does.
pid_t cjail_join(const struct cjail_plan *plan, int init, int sync);

// The next message of the child: 1, or 0 at the end of the file, -1 and errno (EAGAIN: none yet).
int cjail_receive(int socket, struct cjail_report *report, int *descriptor);

// For tests: opens `path` inside `root` as the child does, making what is missing: 0 nothing, 1 a file, 2 directories.
int cjail_open_in_root(int root, const char *path, int make);

#endif

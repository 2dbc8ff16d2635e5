// The probe's parent: a child in which KVM may hang as it likes, and a deadline that nothing can move.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What is kept back of the deadline for the killing.
enum { REAP_MS = 15 };

static void close_all_but(int keep) {
    if (keep > 0) (void)syscall(SYS_close_range, 0, keep - 1, 0);
    (void)syscall(SYS_close_range, keep + 1, ~0u, 0);
}

_Noreturn static void child(int out, pid_t parent, const char *path, uint8_t *memory, bool endless) {
    // A child that can't be killed at once must not keep its parent's pipes open, nor outlive it.
    close_all_but(out);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(1);
    struct ckvm_probe_result result;
    memset(&result, 0, sizeof result);
    ckvm_child(path, memory, endless, &result);
    // Less than PIPE_BUF: all or nothing.
    _exit(write(out, &result, sizeof result) == sizeof result ? 0 : 1);
}

// Waits for the child's end, but not after `deadline`. False when it has not come.
static bool reap(pid_t pid, uint64_t deadline, int *status, struct rusage *usage) {
    for (;;) {
        pid_t got = wait4(pid, status, WNOHANG, usage);
        // ECHILD: SIGCHLD is ignored here, or someone else was faster.
        if (got == pid || (got < 0 && errno != EINTR)) return got == pid;
        if (ckvm_now() >= deadline) return false;
        struct timespec pause = {.tv_nsec = 100000};
        nanosleep(&pause, NULL);
    }
}

// True when the child has answered.
static bool listen_to(int in, uint64_t deadline, struct ckvm_probe_result *result, bool *ended) {
    for (;;) {
        uint64_t now = ckvm_now();
        if (now >= deadline) return false;
        uint64_t left = deadline - now;
        struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
        struct pollfd wait = {.fd = in, .events = POLLIN};
        int ready = ppoll(&wait, 1, &timeout, NULL);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return false;
        ssize_t got = read(in, result, sizeof *result);
        if (got < 0 && errno == EINTR) continue;
        *ended = got != sizeof *result;
        return !*ended;
    }
}

static void no_child(struct ckvm_probe_result *result, const char *step) {
    result->verdict = CKVM_NO_CHILD;
    result->error = errno;
    strncpy(result->step, step, sizeof result->step - 1);
}

// A fork during which no signal is taken, so that the child never runs one of its parent's handlers.
static pid_t quiet_fork(int out, const char *path, uint8_t *memory, bool endless) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) child(out, parent, path, memory, endless);
    int code = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = code;
    return pid;
}

static uint64_t nanoseconds(struct timeval time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

static void probe(
    const char *path, uint64_t deadline, bool endless, uint8_t *memory, struct ckvm_probe_result *result) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return no_child(result, "pipe2");
    pid_t pid = quiet_fork(ends[1], path, memory, endless);
    close(ends[1]);
    if (pid < 0) {
        no_child(result, "fork");
        close(ends[0]);
        return;
    }
    struct ckvm_probe_result answer;
    bool ended = false;
    bool answered = listen_to(ends[0], deadline - REAP_MS * 1000000ull, &answer, &ended);
    close(ends[0]);
    if (!answered && !ended) kill(pid, SIGKILL);
    // A machine's end takes KVM a millisecond or two. Worth the wait: a zombie would surprise a caller that waits for
    // any child. But when the kernel doesn't let go of it, it stays behind: the deadline is the deadline.
    int status = 0;
    struct rusage usage;
    bool reaped = reap(pid, deadline, &status, &usage);
    if (answered) {
        *result = answer;
    } else if (ended) {
        result->verdict = CKVM_CHILD_DIED;
        result->value = (uint64_t)(uint32_t)status;
    } else {
        // The guest's memory is shared with the child: its note of the stage can be read even now.
        uint64_t noted = *ckvm_guest_word(memory, PROBE_STAGE);
        result->verdict = CKVM_TIMEOUT;
        result->stage = noted < ckvm_stage_count() ? (int32_t)noted : -1;
    }
    if (reaped) result->child_cpu_ns = nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
}

void ckvm_probe(const char *path, uint32_t deadline_ms, bool endless, struct ckvm_probe_result *result) {
    uint64_t begin = ckvm_now();
    memset(result, 0, sizeof *result);
    result->stage = -1;
    void *memory = mmap(NULL, PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        no_child(result, "mmap");
    } else {
        // Before the guest's first note, when the set-up itself hangs.
        *ckvm_guest_word(memory, PROBE_STAGE) = UINT64_MAX;
        uint32_t least = REAP_MS + 5;
        uint64_t limit = deadline_ms < least ? least : deadline_ms;
        probe(path, begin + limit * 1000000, endless, memory, result);
        munmap(memory, PROBE_MEMORY);
    }
    result->total_ns = ckvm_now() - begin;
}

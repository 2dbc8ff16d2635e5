#include "room.h"

#include <poll.h>
#include <sys/wait.h>

// Programs of the container's between start and exec (config.md, "startContainer Hooks"): as its user, in its place, with
// its state on standard input.

static int64_t milliseconds(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Writes what the hook will take. One that does not read is no failure, and does not make us wait.
static void feed(int to, const char *text, int64_t deadline) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(to, text, left);
        if (written > 0) {
            text += written;
            left -= (size_t)written;
        } else if (written < 0 && errno == EAGAIN) {
            struct pollfd full = {.fd = to, .events = POLLOUT};
            int64_t patience = deadline ? deadline - milliseconds() : -1;
            if (deadline && patience <= 0) return;
            if (poll(&full, 1, (int)(patience > INT_MAX ? INT_MAX : patience)) == 0) return;
        } else if (written >= 0 || errno != EINTR) {
            return;
        }
    }
}

static int outcome(int status) {
    if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? 0 : CJAIL_HOOK_EXITED | WEXITSTATUS(status);
    return CJAIL_HOOK_SIGNALED | WTERMSIG(status);
}

// How the hook ended; one that takes too long is killed.
static int await(pid_t pid, int64_t deadline) {
    int status = 0;
    while (1) {
        pid_t ended = waitpid(pid, &status, deadline ? WNOHANG : 0);
        if (ended == pid) return outcome(status);
        if (ended < 0 && errno != EINTR) return errno;
        if (!deadline || ended < 0) continue;
        if (milliseconds() >= deadline) {
            kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
            return CJAIL_HOOK_TIMED_OUT;
        }
        usleep(2000);
    }
}

static int run(const struct cjail_hook *hook, const char *state) {
    int input[2], result[2], code = 0;
    if (pipe2(input, O_CLOEXEC) < 0) return errno;
    if (pipe2(result, O_CLOEXEC) < 0) {
        code = errno;
        close(input[0]), close(input[1]);
        return code;
    }
    int64_t deadline = hook->timeout ? milliseconds() + (int64_t)hook->timeout * 1000 : 0;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        // What the program is to have is not the hook's.
        syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
        if (dup2(input[0], 0) >= 0) execve(hook->path, hook->arguments, hook->environment);
        code = errno;
        // Nobody is there to be told when this fails.
        ssize_t told = write(result[1], &code, sizeof code);
        _exit(told == sizeof code ? 126 : 125);
    }
    if (pid < 0) code = errno;
    close(input[0]), close(result[1]);
    if (pid > 0) {
        // Nothing comes when it was executed.
        ssize_t got;
        do got = read(result[0], &code, sizeof code);
        while (got < 0 && errno == EINTR);
        if (got != sizeof code) code = 0;
        fcntl(input[1], F_SETFL, O_NONBLOCK);
        if (!code) feed(input[1], state, deadline);
    }
    close(input[1]), close(result[0]);
    if (pid < 0) return code;
    int ended = await(pid, deadline);
    return code ? code : ended;
}

int room_run_hooks(const struct cjail_plan *plan, uint32_t *failed) {
    if (!plan->hook_count) return 0;
    size_t length = strlen(plan->state_head) + strlen(plan->state_tail) + 16;
    char *state = malloc(length);
    if (!state) return -1;
    snprintf(state, length, "%s%d%s", plan->state_head, (int)getpid(), plan->state_tail);
    // A hook that does not read its input must not end us.
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < plan->hook_count; i++) {
        int code = run(&plan->hooks[i], state);
        *failed = (uint32_t)i;
        if (code) return room_fail(code);
    }
    signal(SIGPIPE, SIG_DFL);
    free(state);
    return 0;
}

#include "room.h"

#include <sys/personality.h>

// glibc has no wrappers for these.
struct scheduling_attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

enum { IOPRIO_OF_PROCESS = 1 };

void room_set_oom_score(const struct cjail_plan *plan, int sync) {
    char text[16];
    if (!plan->has_oom_score) return;
    snprintf(text, sizeof text, "%d", plan->oom_score);
    if (room_write_file("/proc/self/oom_score_adj", text) < 0) room_fail_step(sync, CJAIL_STEP_OOM_SCORE, 0);
}

static long set_affinity(const uint64_t *words, size_t count) {
    return syscall(SYS_sched_setaffinity, 0, count * sizeof *words, words);
}

void room_set_affinity(const struct cjail_plan *plan, int sync, int final) {
    static const uint64_t all[16] = {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull,
                                     ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull};
    long result = 0;
    if (!final) {
        if (plan->initial_cpu_words) result = set_affinity(plan->initial_cpus, plan->initial_cpu_words);
    } else if (plan->final_cpu_words) {
        result = set_affinity(plan->final_cpus, plan->final_cpu_words);
    } else if (plan->initial_cpu_words) {
        // Those of the container's cgroup.
        result = set_affinity(all, 16);
    }
    if (result < 0) room_fail_step(sync, CJAIL_STEP_AFFINITY, (uint32_t)final);
}

void room_set_scheduling(const struct cjail_plan *plan, int sync) {
    if (plan->has_scheduling) {
        const struct cjail_scheduling *wanted = &plan->scheduling;
        struct scheduling_attributes attributes = {
            .size = sizeof attributes, .policy = wanted->policy, .flags = wanted->flags, .nice = wanted->nice,
            .priority = wanted->priority, .runtime = wanted->runtime, .deadline = wanted->deadline,
            .period = wanted->period};
        if (syscall(SYS_sched_setattr, 0, &attributes, 0) < 0) room_fail_step(sync, CJAIL_STEP_SCHEDULER, 0);
    }
    if (plan->has_io_priority && syscall(SYS_ioprio_set, IOPRIO_OF_PROCESS, 0, plan->io_priority) < 0) {
        room_fail_step(sync, CJAIL_STEP_IO_PRIORITY, 0);
    }
    if (plan->has_personality && personality((unsigned long)plan->personality) < 0) {
        room_fail_step(sync, CJAIL_STEP_PERSONALITY, 0);
    }
    if (plan->has_memory_policy) {
        unsigned long nodes = plan->memory_nodes;
        // The kernel takes one off the number of bits that it is told.
        unsigned long bits = nodes ? 8 * sizeof nodes + 1 : 0;
        if (syscall(SYS_set_mempolicy, (long)plan->memory_mode, nodes ? &nodes : NULL, bits) < 0) {
            room_fail_step(sync, CJAIL_STEP_MEMORY_POLICY, 0);
        }
    }
}

#include "probe.h"

#include <string.h>

// What guest.S computes, in the same order. A stage that was left out for want of a feature has no result.
struct results {
    uint64_t of[PROBE_MOST_STAGES];
    bool has[PROBE_MOST_STAGES];
    int count;
};

static void add(struct results *list, bool has, uint64_t result) {
    list->of[list->count] = result;
    list->has[list->count++] = has;
}

static uint64_t rotated(uint64_t value, int by) { return value << by | value >> (64 - by); }

static struct results expected(const struct ckvm_expectation *from) {
    uint64_t seed = from->seed, features = from->features;
    struct results list;
    memset(&list, 0, sizeof list);
    add(&list, true, seed + 1);
    add(&list, true, from->cpuid_leaf0);
    add(&list, true, seed + 0x55);                                                   // int3
    add(&list, features & PROBE_HAS_POPCNT, (uint64_t)__builtin_popcountll(seed));   // popcnt
    add(&list, features & PROBE_HAS_CX16, ((1 + seed + 1) << 1) + seed + 2);         // cmpxchg16b
    add(&list, features & PROBE_HAS_SMAP, 2);                                        // clac
    add(&list, true, seed + 1);                                                      // fwait
    add(&list, true, seed);                                                          // fxrstor64
    add(&list, features & PROBE_HAS_XSAVE, PROBE_XCR0);                              // xsetbv
    add(&list, features & PROBE_HAS_XSAVE, ~seed);                                   // xrstor64
    add(&list, features & PROBE_HAS_RDTSCP, (uint32_t)seed);                         // rdtscp
    add(&list, true, seed);                                                          // wrmsr
    add(&list, true, rotated(seed + 0xa, 8) ^ (seed + 0xb));                         // invlpg
    add(&list, true, from->loop_result);                                             // the speed loop
    return list;
}

uint64_t ckvm_expected_sum(const struct ckvm_expectation *from) {
    struct results list = expected(from);
    uint64_t sum = from->seed;
    for (int i = 0; i < list.count; i++)
        if (list.has[i]) sum = rotated(sum, 7) ^ list.of[i];
    return sum;
}

int ckvm_first_wrong_stage(const struct ckvm_expectation *from, uint8_t *memory) {
    struct results list = expected(from);
    for (int i = 0; i < list.count; i++)
        if (list.has[i] && *ckvm_guest_word(memory, PROBE_RESULTS + (uint64_t)i * 8) != list.of[i]) return i;
    return -1;
}

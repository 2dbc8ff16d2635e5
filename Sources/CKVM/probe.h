// What the probe's files share. Nothing here allocates: the child runs it between fork and _exit.
#ifndef CKVM_PROBE_H
#define CKVM_PROBE_H

#include "include/CKVM.h"
#include "layout.h"

// guest.S
extern const uint8_t ckvm_guest_begin[], ckvm_guest_end[], ckvm_guest_endless[], ckvm_guest_stubs[];
extern uint64_t ckvm_guest_loop(uint64_t count, uint64_t scratch[2]);

struct ckvm_stage {
    uint32_t offset;
    char name[28];
};
extern const struct ckvm_stage ckvm_guest_stages[], ckvm_guest_stages_end[];

// image.c: the probe guest's memory and registers, ready to run.
void ckvm_image_fill(uint8_t *memory, uint64_t seed, uint64_t features);
void ckvm_image_sregs(struct kvm_sregs *sregs, uint64_t features);
uint64_t ckvm_image_features(const struct kvm_cpuid_entry2 *entries, uint32_t count);

static inline uint64_t *ckvm_guest_word(uint8_t *memory, uint64_t address) { return (uint64_t *)(memory + address); }

// expect.c: the sum of the results that the guest should come to, and the first stage whose result is another, or -1.
struct ckvm_expectation {
    uint64_t seed, features, cpuid_leaf0, loop_result;
};
uint64_t ckvm_expected_sum(const struct ckvm_expectation *from);
int ckvm_first_wrong_stage(const struct ckvm_expectation *from, uint8_t *memory);

// child.c: all that happens to the KVM at `path`.
void ckvm_child(const char *path, uint8_t *memory, bool endless, struct ckvm_probe_result *result);

// clock.c: CLOCK_MONOTONIC, for deadlines; the TSC for what is shorter than some clocks' steps (a kernel that doesn't
// trust its TSC may have one of 4 ms).
uint64_t ckvm_now(void);
uint64_t ckvm_tsc(void);

#endif

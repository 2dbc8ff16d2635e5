#include "probe.h"

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

bool ckvm_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
    // A leaf past the range's end answers with another leaf's numbers on Intel: ask for the end first. The
    // hypervisor's range (0x4000....) is only there when bit 31 of leaf 1's ecx says that there is a hypervisor.
    uint32_t a, b, c, d;
    uint32_t range = leaf & 0xf0000000;
    if (range == 0x40000000) {
        __cpuid(1, a, b, c, d);
        if (!(c >> 31)) return false;
    }
    __cpuid(range, a, b, c, d);
    if (a < leaf) return false;
    __cpuid_count(leaf, subleaf, registers[0], registers[1], registers[2], registers[3]);
    return true;
}

// rdtsc alone may be taken before or after its neighbours; rdtscp is not on every processor.
uint64_t ckvm_tsc(void) {
    _mm_lfence();
    uint64_t ticks = __rdtsc();
    _mm_lfence();
    return ticks;
}

void ckvm_tick(uint32_t attempts, struct ckvm_tick *tick) {
    tick->window = UINT64_MAX;
    for (uint32_t i = 0; i < attempts; i++) {
        struct timespec now;
        uint64_t before = ckvm_tsc();
        clock_gettime(CLOCK_MONOTONIC_RAW, &now);
        uint64_t after = ckvm_tsc();
        // A switch of the task between the two makes the window long: another attempt has a shorter one.
        if (after < before || after - before >= tick->window) continue;
        tick->window = after - before;
        tick->tsc = before + tick->window / 2;
        tick->nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
}

uint64_t ckvm_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

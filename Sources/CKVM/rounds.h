#ifndef CKVM_ROUNDS_H
#define CKVM_ROUNDS_H

#include "probe.h"

enum {
    // Times round: an interpreter of 1 µs an instruction ends the short one in 7 ms; the long one has 105,000.
    SHORT_ROUND = 1000,
    LONG_ROUND = 15000,
    MOST_ROUNDS = 4,
    // True hardware is at 1, a loaded machine's noise at 2 or 3. KVM's emulator is far beyond 50.
    MOST_SLOWDOWN = 10,
    // For a short round, to leave room for what a first run costs; long ones that are better take 4 ms at most.
    HOPELESS = 200,
};

// A short round first, as a long one would take an interpreter too long; when it is not hopeless, long ones. What
// looks bad is tried again, as another task may have had the processor.
struct ckvm_rounds {
    bool on_long;
    int shorts, longs; // done
    // TSC ticks from an entry into the guest to the exit behind it; empty: with no round between.
    uint64_t best_short, best_long, empty;
    uint64_t native_short, native_long;
    // What the loop returns.
    uint64_t short_result, long_result;
};

// Times the loop here; returns how often the guest's first round has to go round.
uint64_t ckvm_rounds_begin(struct ckvm_rounds *rounds);
// The guest was entered and left between two rounds, or before the first.
void ckvm_rounds_empty(struct ckvm_rounds *rounds, uint64_t took);
// A round is over. Returns how often the next one has to go round; 0 when enough is known.
uint64_t ckvm_rounds_next(struct ckvm_rounds *rounds, uint64_t took);

bool ckvm_rounds_fast(const struct ckvm_rounds *rounds);
uint64_t ckvm_rounds_guest(const struct ckvm_rounds *rounds);
uint64_t ckvm_rounds_native(const struct ckvm_rounds *rounds);
// What the guest's last round has to have returned.
uint64_t ckvm_rounds_result(const struct ckvm_rounds *rounds);

#endif

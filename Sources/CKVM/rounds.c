// How fast the guest runs code: rounds of a loop in it against the same loop in this process.
#include "rounds.h"

// The same loop without any KVM. The best of some goes is free of other tasks' time.
static uint64_t native_time(uint64_t count, uint64_t *loop_result) {
    _Alignas(16) uint64_t scratch[2];
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < MOST_ROUNDS; i++) {
        uint64_t begin = ckvm_tsc();
        *loop_result = ckvm_guest_loop(count, scratch);
        uint64_t took = ckvm_tsc() - begin;
        if (took < best) best = took;
    }
    return best ? best : 1;
}

uint64_t ckvm_rounds_begin(struct ckvm_rounds *rounds) {
    *rounds = (struct ckvm_rounds){.best_short = UINT64_MAX, .best_long = UINT64_MAX, .empty = UINT64_MAX};
    rounds->native_short = native_time(SHORT_ROUND, &rounds->short_result);
    rounds->native_long = native_time(LONG_ROUND, &rounds->long_result);
    return SHORT_ROUND;
}

void ckvm_rounds_empty(struct ckvm_rounds *rounds, uint64_t took) {
    if (rounds->shorts > 0 && took < rounds->empty) rounds->empty = took;
}

// Without the way in and out, which is long where KVM is nested: unless noise hides the one in the other.
static uint64_t long_time(const struct ckvm_rounds *rounds) {
    return rounds->empty < rounds->best_long ? rounds->best_long - rounds->empty : rounds->best_long;
}

uint64_t ckvm_rounds_next(struct ckvm_rounds *rounds, uint64_t took) {
    if (!rounds->on_long) {
        rounds->shorts++;
        if (took < rounds->best_short) rounds->best_short = took;
        if (took / HOPELESS > rounds->native_short) return rounds->shorts < MOST_ROUNDS ? SHORT_ROUND : 0;
        rounds->on_long = true;
        return LONG_ROUND;
    }
    rounds->longs++;
    if (took < rounds->best_long) rounds->best_long = took;
    bool enough = rounds->longs >= 2 && long_time(rounds) / (MOST_SLOWDOWN / 2) < rounds->native_long;
    return enough || rounds->longs == MOST_ROUNDS ? 0 : LONG_ROUND;
}

bool ckvm_rounds_fast(const struct ckvm_rounds *rounds) {
    return ckvm_rounds_guest(rounds) / MOST_SLOWDOWN <= ckvm_rounds_native(rounds);
}

uint64_t ckvm_rounds_guest(const struct ckvm_rounds *rounds) {
    return rounds->on_long ? long_time(rounds) : rounds->best_short;
}

uint64_t ckvm_rounds_native(const struct ckvm_rounds *rounds) {
    return rounds->on_long ? rounds->native_long : rounds->native_short;
}

uint64_t ckvm_rounds_result(const struct ckvm_rounds *rounds) {
    return rounds->on_long ? rounds->long_result : rounds->short_result;
}

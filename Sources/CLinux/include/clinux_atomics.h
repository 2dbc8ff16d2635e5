// Loads and stores on memory that another machine writes at the same time. Swift has no atomic access through a
// pointer, and a plain load may be done twice by the compiler: then the check sees one value and the use another.
// The pointers are aligned to the size of what they point to; the caller has checked it.
#ifndef CLINUX_ATOMICS_H
#define CLINUX_ATOMICS_H

#include <stdint.h>

static inline uint16_t clinux_load_u16(const void *p) { return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED); }
static inline uint32_t clinux_load_u32(const void *p) { return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED); }
static inline uint64_t clinux_load_u64(const void *p) { return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED); }
static inline uint16_t clinux_load_acquire_u16(const void *p) {
    return __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE);
}

static inline void clinux_store_u16(void *p, uint16_t v) { __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELAXED); }
static inline void clinux_store_u32(void *p, uint32_t v) { __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELAXED); }
static inline void clinux_store_u64(void *p, uint64_t v) { __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED); }
static inline void clinux_store_release_u16(void *p, uint16_t v) {
    __atomic_store_n((uint16_t *)p, v, __ATOMIC_RELEASE);
}

// Between a store and a load of another place: "I have published, has the peer asked to be told?".
static inline void clinux_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#endif

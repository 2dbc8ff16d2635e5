#include "probe.h"

#include <string.h>

enum { PRESENT_WRITABLE = 3, CODE_SELECTOR = 0x08, DATA_SELECTOR = 0x10, TSS_SELECTOR = 0x18 };

// CPUID leaf 0xd says where the extended features are; these four are in leaves 1, 7 and 0x80000001.
uint64_t ckvm_image_features(const struct kvm_cpuid_entry2 *entries, uint32_t count) {
    uint64_t features = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct kvm_cpuid_entry2 *entry = &entries[i];
        if (entry->function == 1) {
            if (entry->ecx & 1u << 23) features |= PROBE_HAS_POPCNT;
            if (entry->ecx & 1u << 13) features |= PROBE_HAS_CX16;
            if (entry->ecx & 1u << 26) features |= PROBE_HAS_XSAVE;
        } else if (entry->function == 7 && entry->index == 0) {
            if (entry->ebx & 1u << 20) features |= PROBE_HAS_SMAP;
        } else if (entry->function == 0x80000001) {
            if (entry->edx & 1u << 27) features |= PROBE_HAS_RDTSCP;
        }
    }
    return features;
}

static void fill_page_tables(uint8_t *memory) {
    *ckvm_guest_word(memory, PROBE_PML4) = PROBE_PDPT | PRESENT_WRITABLE;
    *ckvm_guest_word(memory, PROBE_PDPT) = PROBE_PD | PRESENT_WRITABLE;
    *ckvm_guest_word(memory, PROBE_PD) = PROBE_PT | PRESENT_WRITABLE;
    for (uint64_t page = 0; page < PROBE_MEMORY >> 12; page++)
        *ckvm_guest_word(memory, PROBE_PT + page * 8) = page << 12 | PRESENT_WRITABLE;
    *ckvm_guest_word(memory, PROBE_WINDOW_ENTRY) = PROBE_PAGE_A | PRESENT_WRITABLE;
}

static void fill_descriptors(uint8_t *memory) {
    // An interrupt loads CS from the table, and iretq loads SS too.
    *ckvm_guest_word(memory, PROBE_GDT + CODE_SELECTOR) = 0x00af9b000000ffff;
    *ckvm_guest_word(memory, PROBE_GDT + DATA_SELECTOR) = 0x00cf93000000ffff;
    *ckvm_guest_word(memory, PROBE_GDT + TSS_SELECTOR) = 0x00008b0000000067 | (uint64_t)PROBE_TSS << 16;
    uint64_t stubs = PROBE_CODE + (uint64_t)(ckvm_guest_stubs - ckvm_guest_begin);
    for (uint64_t vector = 0; vector < PROBE_VECTORS; vector++) {
        uint64_t handler = stubs + vector * PROBE_STUB_SIZE;
        // A present 64-bit interrupt gate; every address here is below 64 KiB.
        *ckvm_guest_word(memory, PROBE_IDT + vector * 16) = 0x8e00ull << 32 | CODE_SELECTOR << 16 | handler;
    }
}

void ckvm_image_fill(uint8_t *memory, uint64_t seed, uint64_t features) {
    fill_page_tables(memory);
    fill_descriptors(memory);
    memcpy(memory + PROBE_CODE, ckvm_guest_begin, ckvm_code_size());
    *ckvm_guest_word(memory, PROBE_STAGE) = UINT64_MAX;
    *ckvm_guest_word(memory, PROBE_SEED) = seed;
    *ckvm_guest_word(memory, PROBE_FEATURES) = features;
    *ckvm_guest_word(memory, PROBE_PAGE_A) = seed + 0xa;
    *ckvm_guest_word(memory, PROBE_PAGE_B) = seed + 0xb;
}

// Long mode from the first instruction, as a boot loader would leave it.
void ckvm_image_sregs(struct kvm_sregs *sregs, uint64_t features) {
    struct kvm_segment code = {
        .limit = 0xffffffff, .selector = CODE_SELECTOR, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_segment data = {
        .limit = 0xffffffff, .selector = DATA_SELECTOR, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    struct kvm_segment task = {
        .base = PROBE_TSS, .limit = 0x67, .selector = TSS_SELECTOR, .type = 11, .present = 1};
    struct kvm_segment none = {.unusable = 1};
    sregs->cs = code;
    sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
    sregs->tr = task;
    sregs->ldt = none;
    sregs->gdt = (struct kvm_dtable){.base = PROBE_GDT, .limit = 0x1f + 8};
    sregs->idt = (struct kvm_dtable){.base = PROBE_IDT, .limit = PROBE_VECTORS * 16 - 1};
    sregs->cr3 = PROBE_PML4;
    sregs->cr0 = 1u << 31 | 1u << 16 | 1u << 5 | 1u << 4 | 1u << 1 | 1u; // PG WP NE ET MP PE
    sregs->cr4 = 1u << 5 | 1u << 9 | 1u << 10;                           // PAE OSFXSR OSXMMEXCPT
    if (features & PROBE_HAS_XSAVE) sregs->cr4 |= 1u << 18;              // OSXSAVE
    sregs->efer = 1u << 8 | 1u << 10;                                    // LME LMA
}

#include "probe.h"

uint32_t ckvm_code_size(void) { return (uint32_t)(ckvm_guest_end - ckvm_guest_begin); }

const uint8_t *ckvm_code(void) { return ckvm_guest_begin; }

uint32_t ckvm_stage_count(void) { return (uint32_t)(ckvm_guest_stages_end - ckvm_guest_stages); }

const char *ckvm_stage_name(uint32_t stage) {
    return stage < ckvm_stage_count() ? ckvm_guest_stages[stage].name : NULL;
}

uint32_t ckvm_stage_offset(uint32_t stage) { return ckvm_guest_stages[stage].offset; }

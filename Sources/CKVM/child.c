// The probe's child: sets a machine of one vCPU up and serves the probe guest's ports until it has said its sum.
#include "probe.h"
#include "rounds.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { MOST_CPUID_ENTRIES = 256 };

struct machine {
    int vcpu;
    struct kvm_run *run;
    uint8_t *memory;
    struct ckvm_expectation expectation;
};

static void fail(struct ckvm_probe_result *result, int32_t verdict, const char *step) {
    result->error = errno;
    result->verdict = verdict;
    strncpy(result->step, step, sizeof result->step - 1);
}

// Everything up to the first KVM_RUN. What it opens goes with the process.
static bool set_up(const char *path, struct machine *machine, bool endless, struct ckvm_probe_result *result) {
#define STEP(call, name) \
    if ((call) < 0) { \
        fail(result, CKVM_SETUP_FAILED, name); \
        return false; \
    }
    int system = ckvm_open(path);
    if (system < 0) {
        fail(result, CKVM_NO_DEVICE, "open");
        return false;
    }
    int version, vm, size, count;
    STEP(version = ckvm_api_version(system), "KVM_GET_API_VERSION")
    if (version != KVM_API_VERSION) {
        result->verdict = CKVM_WRONG_API;
        result->value = (uint64_t)version;
        return false;
    }
    STEP(vm = ckvm_create_vm(system), "KVM_CREATE_VM")
    // Intel without unrestricted guest keeps a TSS of its own in the guest's memory; the others don't mind.
    (void)ckvm_set_tss_address(vm, 0xfffbd000);
    STEP(ckvm_set_memory_region(vm, 0, 0, 0, PROBE_MEMORY, machine->memory), "KVM_SET_USER_MEMORY_REGION")
    STEP(machine->vcpu = ckvm_create_vcpu(vm, 0), "KVM_CREATE_VCPU")
    STEP(size = ckvm_vcpu_mmap_size(system), "KVM_GET_VCPU_MMAP_SIZE")
    machine->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu, 0);
    STEP(machine->run == MAP_FAILED ? -1 : 0, "mmap of the vCPU")

    static struct kvm_cpuid_entry2 entries[MOST_CPUID_ENTRIES];
    STEP(count = ckvm_supported_cpuid(system, entries, MOST_CPUID_ENTRIES), "KVM_GET_SUPPORTED_CPUID")
    STEP(ckvm_set_cpuid(machine->vcpu, entries, (uint32_t)count), "KVM_SET_CPUID2")
    for (int i = 0; i < count; i++)
        if (entries[i].function == 0) machine->expectation.cpuid_leaf0 = entries[i].eax;
    uint64_t features = ckvm_image_features(entries, (uint32_t)count);
    machine->expectation.features = features;
    ckvm_image_fill(machine->memory, machine->expectation.seed, features);

    struct kvm_sregs sregs;
    STEP(ckvm_get_sregs(machine->vcpu, &sregs), "KVM_GET_SREGS")
    ckvm_image_sregs(&sregs, features);
    STEP(ckvm_set_sregs(machine->vcpu, &sregs), "KVM_SET_SREGS")
    // The guest sets XCR0 to the same value. Without this it read back the value of a reset in 5 of 600 probes under
    // QEMU 7.2's emulated SVM, with it in none of 800: for that the probe is not meant.
    if (features & PROBE_HAS_XSAVE) (void)ckvm_set_xcr0(machine->vcpu, PROBE_XCR0);
    struct kvm_regs regs = {.rip = PROBE_CODE, .rsp = PROBE_STACK_TOP, .rflags = 2};
    if (endless) regs.rip += (uint64_t)(ckvm_guest_endless - ckvm_guest_begin);
    STEP(ckvm_set_regs(machine->vcpu, &regs), "KVM_SET_REGS")
    return true;
#undef STEP
}

// From where the guest stopped, or, when it is no longer in its code (a reset), from the note it keeps.
static int32_t stage_of(struct machine *machine) {
    struct kvm_regs regs;
    uint32_t count = ckvm_stage_count();
    if (ckvm_get_regs(machine->vcpu, &regs) == 0 && regs.rip >= PROBE_CODE) {
        uint64_t offset = regs.rip - PROBE_CODE;
        // Behind the last stage there are the handlers and the loop: then the note is right.
        for (uint32_t i = 0; i + 1 < count; i++)
            if (offset >= ckvm_stage_offset(i) && offset < ckvm_stage_offset(i + 1)) return (int32_t)i;
    }
    uint64_t noted = *ckvm_guest_word(machine->memory, PROBE_STAGE);
    return noted < count ? (int32_t)noted : -1;
}

static void judge(struct machine *machine, struct ckvm_rounds *rounds, uint64_t sum, struct ckvm_probe_result *result) {
    result->guest_ticks = ckvm_rounds_guest(rounds);
    result->native_ticks = ckvm_rounds_native(rounds);
    machine->expectation.loop_result = ckvm_rounds_result(rounds);
    if (sum != ckvm_expected_sum(&machine->expectation)) {
        result->verdict = CKVM_WRONG_RESULT;
        result->stage = ckvm_first_wrong_stage(&machine->expectation, machine->memory);
        if (result->stage >= 0)
            result->value = *ckvm_guest_word(machine->memory, PROBE_RESULTS + (uint64_t)result->stage * 8);
    } else {
        result->verdict = ckvm_rounds_fast(rounds) ? CKVM_FIT : CKVM_SLOW;
    }
}

// KVM_RUN until there is a verdict.
static void serve(struct machine *machine, struct ckvm_probe_result *result) {
    struct ckvm_rounds rounds;
    uint64_t sum = 0;
    uint64_t *count = ckvm_guest_word(machine->memory, PROBE_COUNT);
    *count = ckvm_rounds_begin(&rounds);
    struct kvm_run *run = machine->run;
    for (;;) {
        uint64_t entered = ckvm_tsc();
        if (ckvm_run(machine->vcpu) < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            fail(result, CKVM_RUN_FAILED, "KVM_RUN");
            result->stage = stage_of(machine);
            return;
        }
        uint64_t left = ckvm_tsc();
        uint32_t data = 0;
        if (run->exit_reason == KVM_EXIT_IO) memcpy(&data, (char *)run + run->io.data_offset, sizeof data);
        int port = run->exit_reason == KVM_EXIT_IO ? run->io.port : -1;
        switch (port) {
        case PROBE_PORT_BEGIN:
            ckvm_rounds_empty(&rounds, left - entered);
            break;
        case PROBE_PORT_END:
            *count = ckvm_rounds_next(&rounds, left - entered);
            break;
        case PROBE_PORT_LOW:
            sum = data;
            break;
        case PROBE_PORT_HIGH:
            judge(machine, &rounds, sum | (uint64_t)data << 32, result);
            return;
        case PROBE_PORT_FAULT:
            result->verdict = CKVM_EXCEPTION;
            result->value = data;
            result->stage = stage_of(machine);
            return;
        default:
            result->verdict = CKVM_UNEXPECTED_EXIT;
            result->exit_reason = run->exit_reason;
            if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR) result->value = run->internal.suberror;
            if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
                result->value = run->fail_entry.hardware_entry_failure_reason;
            result->stage = stage_of(machine);
            return;
        }
    }
}

void ckvm_child(const char *path, uint8_t *memory, bool endless, struct ckvm_probe_result *result) {
    struct machine machine = {.memory = memory};
    result->stage = -1;
    // Any number will do that nobody knows beforehand; 46 bits of it, so that it is an address too.
    struct ckvm_tick tick;
    ckvm_tick(1, &tick);
    machine.expectation.seed = (tick.tsc * 0x9e3779b97f4a7c15ull) >> 18 | 1;
    if (set_up(path, &machine, endless, result)) serve(&machine, result);
}

// /dev/kvm for Swift: ioctl(2) is variadic and its request numbers are macros; rdtsc and cpuid are instructions; and
// the fitness probe's child runs between fork and _exit, where only C may be. What answers an int answers -1 and sets
// errno when it fails.
#ifndef CKVM_H
#define CKVM_H

#ifndef __x86_64__
#error "CKVM knows x86-64 only"
#endif

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The system: an open /dev/kvm.
int ckvm_open(const char *path);
int ckvm_api_version(int system);
int ckvm_check_extension(int system, int extension);
int ckvm_create_vm(int system);
// Bytes of a vCPU's struct kvm_run mapping.
int ckvm_vcpu_mmap_size(int system);
// At most `room` entries, which start at `entries`; the answer is how many there are.
int ckvm_supported_cpuid(int system, struct kvm_cpuid_entry2 *entries, uint32_t room);

// A machine.
int ckvm_set_tss_address(int vm, uint64_t address);
int ckvm_set_memory_region(int vm, uint32_t slot, uint32_t flags, uint64_t guest, uint64_t size, void *host);
int ckvm_create_vcpu(int vm, int index);

// A vCPU.
int ckvm_set_cpuid(int vcpu, const struct kvm_cpuid_entry2 *entries, uint32_t count);
// The extended control register XCR0.
int ckvm_set_xcr0(int vcpu, uint64_t value);
int ckvm_get_sregs(int vcpu, struct kvm_sregs *out);
int ckvm_set_sregs(int vcpu, const struct kvm_sregs *in);
int ckvm_get_regs(int vcpu, struct kvm_regs *out);
int ckvm_set_regs(int vcpu, const struct kvm_regs *in);
int ckvm_run(int vcpu);

// What of struct kvm_run is in unions, which Swift can only read by copying them whole.
uint32_t ckvm_run_suberror(const struct kvm_run *run);
uint64_t ckvm_run_hardware_reason(const struct kvm_run *run);
uint16_t ckvm_run_port(const struct kvm_run *run);
// Where in the vCPU's mapping the bytes are that go to or come from the port.
uint64_t ckvm_run_port_data(const struct kvm_run *run);
uint32_t ckvm_run_port_bytes(const struct kvm_run *run);
bool ckvm_run_port_out(const struct kvm_run *run);

// The fitness probe. ---------------------------------------------------------------------------------------------

enum ckvm_verdict {
    CKVM_FIT = 0,
    CKVM_NO_DEVICE,       // open failed: error
    CKVM_SETUP_FAILED,    // the step named by `step` failed: error
    CKVM_WRONG_API,       // value: KVM_GET_API_VERSION's answer
    CKVM_RUN_FAILED,      // KVM_RUN failed: error
    CKVM_UNEXPECTED_EXIT, // exit_reason, value: suberror or hardware reason
    CKVM_EXCEPTION,       // the guest got exception `value` at `stage`
    CKVM_WRONG_RESULT,    // `stage` came to `value`, which is not what the instruction does
    CKVM_SLOW,            // guest_ticks is many times native_ticks
    CKVM_TIMEOUT,         // no answer before the deadline, `stage` was running
    CKVM_CHILD_DIED,      // the child ended without an answer; value: its wait status
    CKVM_NO_CHILD,        // mmap, pipe or fork failed: error
};

struct ckvm_probe_result {
    int32_t verdict; // enum ckvm_verdict
    int32_t error;   // an errno
    uint32_t exit_reason;
    int32_t stage; // index of the stage table; -1 when the guest had not begun
    uint64_t value;
    uint64_t guest_ticks;  // the speed loop in the guest, best of some rounds, by the TSC
    uint64_t native_ticks; // the same code, the same number of times round, in the child
    uint64_t total_ns;     // the whole probe
    uint64_t child_cpu_ns; // what the child had of the processor; 0 when it was not reaped
    char step[32];      // the set-up step that failed
};

// Asks the KVM at `path` to run the probe guest, in a child that is dead or abandoned when `deadline_ms` have passed.
// `endless` starts the guest at a loop without an end: the deadline's test.
void ckvm_probe(const char *path, uint32_t deadline_ms, bool endless, struct ckvm_probe_result *result);

// The probe guest's code: position-independent 64-bit code; stages in the order of their running.
uint32_t ckvm_code_size(void);
const uint8_t *ckvm_code(void);
uint32_t ckvm_stage_count(void);
// NULL past the end.
const char *ckvm_stage_name(uint32_t stage);
uint32_t ckvm_stage_offset(uint32_t stage);

// Clocks. --------------------------------------------------------------------------------------------------------

// Returns false when the processor has no such leaf. registers: eax, ebx, ecx, edx.
bool ckvm_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);

struct ckvm_tick {
    uint64_t tsc;
    uint64_t nanoseconds; // CLOCK_MONOTONIC_RAW at the same moment
    uint64_t window;      // TSC ticks between the two readings around the clock's: the error's bound
};
// Reads both clocks `attempts` times and gives the pair that was taken most closely.
void ckvm_tick(uint32_t attempts, struct ckvm_tick *tick);

#endif

#include "include/CKVM.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

int ckvm_open(const char *path) {
    int fd;
    do fd = open(path, O_RDWR | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int ckvm_api_version(int system) { return ioctl(system, KVM_GET_API_VERSION, 0); }

int ckvm_check_extension(int system, int extension) { return ioctl(system, KVM_CHECK_EXTENSION, (long)extension); }

// KVM_CREATE_VM waits for other work of the kernel and answers EINTR when a signal comes.
int ckvm_create_vm(int system) {
    int fd;
    do fd = ioctl(system, KVM_CREATE_VM, 0);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int ckvm_vcpu_mmap_size(int system) { return ioctl(system, KVM_GET_VCPU_MMAP_SIZE, 0); }

// struct kvm_cpuid2 is a head of two words with the entries behind it: here with the room that no processor needs.
enum { MOST_ENTRIES = 256 };
struct cpuid_list {
    uint32_t count, padding;
    struct kvm_cpuid_entry2 entries[MOST_ENTRIES];
};

int ckvm_set_memory_region(int vm, uint32_t slot, uint32_t flags, uint64_t guest, uint64_t size, void *host) {
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .flags = flags,
        .guest_phys_addr = guest,
        .memory_size = size,
        .userspace_addr = (uintptr_t)host,
    };
    return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

int ckvm_create_vcpu(int vm, int index) { return ioctl(vm, KVM_CREATE_VCPU, (long)index); }

int ckvm_run(int vcpu) { return ioctl(vcpu, KVM_RUN, 0); }

int ckvm_supported_cpuid(int system, struct kvm_cpuid_entry2 *entries, uint32_t room) {
    struct cpuid_list list;
    list.count = MOST_ENTRIES;
    list.padding = 0;
    if (ioctl(system, KVM_GET_SUPPORTED_CPUID, &list) < 0) return -1;
    if (list.count > room) {
        errno = E2BIG;
        return -1;
    }
    memcpy(entries, list.entries, list.count * sizeof *entries);
    return (int)list.count;
}

int ckvm_set_tss_address(int vm, uint64_t address) { return ioctl(vm, KVM_SET_TSS_ADDR, (unsigned long)address); }

int ckvm_set_cpuid(int vcpu, const struct kvm_cpuid_entry2 *entries, uint32_t count) {
    struct cpuid_list list;
    if (count > MOST_ENTRIES) {
        errno = E2BIG;
        return -1;
    }
    list.count = count;
    list.padding = 0;
    memcpy(list.entries, entries, count * sizeof *entries);
    return ioctl(vcpu, KVM_SET_CPUID2, &list);
}


int ckvm_set_xcr0(int vcpu, uint64_t value) {
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = value}}};
    return ioctl(vcpu, KVM_SET_XCRS, &xcrs);
}

int ckvm_get_sregs(int vcpu, struct kvm_sregs *out) { return ioctl(vcpu, KVM_GET_SREGS, out); }
int ckvm_set_sregs(int vcpu, const struct kvm_sregs *in) { return ioctl(vcpu, KVM_SET_SREGS, in); }
int ckvm_get_regs(int vcpu, struct kvm_regs *out) { return ioctl(vcpu, KVM_GET_REGS, out); }
int ckvm_set_regs(int vcpu, const struct kvm_regs *in) { return ioctl(vcpu, KVM_SET_REGS, in); }

uint32_t ckvm_run_suberror(const struct kvm_run *run) { return run->internal.suberror; }
uint64_t ckvm_run_hardware_reason(const struct kvm_run *run) { return run->fail_entry.hardware_entry_failure_reason; }

uint16_t ckvm_run_port(const struct kvm_run *run) { return run->io.port; }
uint64_t ckvm_run_port_data(const struct kvm_run *run) { return run->io.data_offset; }
uint32_t ckvm_run_port_bytes(const struct kvm_run *run) { return run->io.size * run->io.count; }
bool ckvm_run_port_out(const struct kvm_run *run) { return run->io.direction == KVM_EXIT_IO_OUT; }

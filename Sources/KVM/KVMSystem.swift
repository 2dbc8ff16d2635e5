import CKVM
import LinuxSys

/// An open `/dev/kvm`. That it opens says little: ``KVMProbe`` tells whether it runs guest code.
public struct KVMSystem: ~Copyable, Sendable {
    private let descriptor: FileDescriptor

    /// - Throws: `noSuchFile` where there is no KVM, `accessDenied` where it is for others.
    public init(path: String = "/dev/kvm") throws(Errno) {
        descriptor = FileDescriptor(owning: try once { ckvm_open(path) })
    }

    /// 12 on every kernel since 2007.
    public func apiVersion() throws(Errno) -> Int32 { try once { ckvm_api_version(descriptor.raw) } }

    /// What KVM_CHECK_EXTENSION says of a `KVM_CAP_…`: 0 for no, else yes or a number.
    public func check(extension capability: Int32) throws(Errno) -> Int32 {
        try once { ckvm_check_extension(descriptor.raw, capability) }
    }

    /// What KVM can show a guest of the processor.
    public func supportedCPUID() throws(Errno) -> [kvm_cpuid_entry2] {
        var entries = [kvm_cpuid_entry2](repeating: kvm_cpuid_entry2(), count: 256)
        let count = try once { ckvm_supported_cpuid(descriptor.raw, &entries, UInt32(entries.count)) }
        entries.removeSubrange(Int(count)...)
        return entries
    }

    /// A machine without memory and processors.
    public func makeMachine() throws(Errno) -> KVMMachine {
        let machine = FileDescriptor(owning: try once { ckvm_create_vm(descriptor.raw) })
        let size = try once { ckvm_vcpu_mmap_size(descriptor.raw) }
        return KVMMachine(machine, runSize: Int(size))
    }
}

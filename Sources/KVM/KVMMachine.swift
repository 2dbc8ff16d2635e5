import CKVM
import LinuxSys

/// A machine of KVM's. It belongs to the process that made it: after a fork the child can do nothing with it.
public struct KVMMachine: ~Copyable, Sendable {
    private let descriptor: FileDescriptor
    /// Bytes of a vCPU's mapping.
    private let runSize: Int

    init(_ descriptor: consuming FileDescriptor, runSize: Int) {
        self.descriptor = descriptor
        self.runSize = runSize
    }

    /// Puts `memory` at the guest-physical `address`. The caller keeps the mapping for as long as the machine lives.
    public func setMemory(slot: UInt32, at address: UInt64, _ memory: borrowing MemoryMapping) throws(Errno) {
        let size = UInt64(memory.count)
        _ = try once { ckvm_set_memory_region(descriptor.raw, slot, 0, address, size, memory.base) }
    }

    /// Three pages in the guest's address space that Intel's processors without "unrestricted guest" need.
    public func setTSSAddress(_ address: UInt64) throws(Errno) {
        _ = try once { ckvm_set_tss_address(descriptor.raw, address) }
    }

    public func makeProcessor(_ index: Int32) throws(Errno) -> KVMProcessor {
        let processor = FileDescriptor(owning: try once { ckvm_create_vcpu(descriptor.raw, index) })
        return try KVMProcessor(processor, runSize: runSize)
    }
}

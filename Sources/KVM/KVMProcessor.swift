import CKVM
import LinuxSys

/// A vCPU. The thread that calls `run` is the processor for that time.
public struct KVMProcessor: ~Copyable {
    private let descriptor: FileDescriptor
    private let mapping: MemoryMapping

    init(_ descriptor: consuming FileDescriptor, runSize: Int) throws(Errno) {
        mapping = try MemoryMapping(sharing: descriptor.raw, offset: 0, count: runSize)
        self.descriptor = descriptor
    }

    /// What the guest's CPUID says. Before the special registers: KVM checks CR4 against it.
    public func setCPUID(_ entries: [kvm_cpuid_entry2]) throws(Errno) {
        _ = try once { ckvm_set_cpuid(descriptor.raw, entries, UInt32(clamping: entries.count)) }
    }

    public func specialRegisters() throws(Errno) -> kvm_sregs {
        var registers = kvm_sregs()
        _ = try once { ckvm_get_sregs(descriptor.raw, &registers) }
        return registers
    }

    public func set(_ registers: kvm_sregs) throws(Errno) {
        var registers = registers
        _ = try once { ckvm_set_sregs(descriptor.raw, &registers) }
    }

    public func registers() throws(Errno) -> kvm_regs {
        var registers = kvm_regs()
        _ = try once { ckvm_get_regs(descriptor.raw, &registers) }
        return registers
    }

    public func set(_ registers: kvm_regs) throws(Errno) {
        var registers = registers
        _ = try once { ckvm_set_regs(descriptor.raw, &registers) }
    }

    /// Runs the guest until it needs something, or a signal comes (`interrupted`).
    public func run() throws(Errno) -> KVMExit {
        _ = try once { ckvm_run(descriptor.raw) }
        let run = mapping.base.assumingMemoryBound(to: kvm_run.self)
        switch Int32(bitPattern: run.pointee.exit_reason) {
        case KVM_EXIT_HLT: return .halt
        case KVM_EXIT_SHUTDOWN: return .shutdown
        case KVM_EXIT_INTERNAL_ERROR: return .internalError(suberror: ckvm_run_suberror(run))
        case KVM_EXIT_FAIL_ENTRY: return .failedEntry(reason: ckvm_run_hardware_reason(run))
        case KVM_EXIT_IO where ckvm_run_port_out(run):
            return .write(port: ckvm_run_port(run), portBytes(of: run))
        default: return .other(reason: run.pointee.exit_reason)
        }
    }

    private func portBytes(of run: UnsafePointer<kvm_run>) -> [UInt8] {
        let count = Int(ckvm_run_port_bytes(run))
        guard let start = Int(exactly: ckvm_run_port_data(run)), start >= 0, start <= mapping.count - count else {
            return []
        }
        return Array(mapping.bytes[start..<start + count])
    }
}

/// Why a vCPU came out of the guest.
public enum KVMExit: Equatable, Sendable {
    case halt
    /// Bytes for a port.
    case write(port: UInt16, [UInt8])
    /// A triple fault.
    case shutdown
    /// KVM gave up; suberror 1: its emulator does not know an instruction.
    case internalError(suberror: UInt32)
    /// The hardware did not enter the guest.
    case failedEntry(reason: UInt64)
    /// Another `KVM_EXIT_…`.
    case other(reason: UInt32)
}

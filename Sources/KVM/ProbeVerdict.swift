import CKVM
import LinuxSys

/// What the probe's C side found, in words.
struct ProbeVerdict {
    private let result: ckvm_probe_result
    private let device: String
    private let deadlineMilliseconds: UInt32

    init(_ result: ckvm_probe_result, device: String, deadlineMilliseconds: UInt32) {
        self.result = result
        self.device = device
        self.deadlineMilliseconds = deadlineMilliseconds
    }

    var fitness: KVMFitness {
        let error = Errno(rawValue: result.error)
        switch ckvm_verdict(UInt32(bitPattern: result.verdict)) {
        case CKVM_FIT: return .fit(nanoseconds: result.total_ns)
        case CKVM_NO_DEVICE: return absence(error)
        case CKVM_SETUP_FAILED: return .unfit(reason: setUpFailure(error))
        case CKVM_WRONG_API:
            return .unfit(reason: "\(device) speaks version \(result.value) of KVM's interface, not 12")
        case CKVM_RUN_FAILED: return .unfit(reason: "KVM does not run the guest\(place): KVM_RUN: \(error)")
        case CKVM_UNEXPECTED_EXIT: return .unfit(reason: exit)
        case CKVM_EXCEPTION:
            return .unfit(reason: "KVM raises exception \(exception) in the guest\(place), where none is due")
        case CKVM_WRONG_RESULT: return .unfit(reason: "KVM runs the guest wrongly: another result than due\(place)")
        case CKVM_SLOW: return .unfit(reason: slow)
        case CKVM_TIMEOUT:
            return .unfit(reason: "KVM did not finish within \(deadlineMilliseconds) ms\(place)\(starved)")
        case CKVM_CHILD_DIED: return .unfit(reason: "the probe's process ended without an answer")
        default: return .unfit(reason: "the probe did not start: \(step): \(error)")
        }
    }

    /// The names of a missing device: no node, a node without a driver (ENXIO, ENODEV).
    private func absence(_ error: Errno) -> KVMFitness {
        switch error {
        case .accessDenied, .notPermitted: .noPermission
        case .noSuchFile, .notDirectory, Errno(rawValue: 6), Errno(rawValue: 19): .missing(error)
        default: .unfit(reason: "\(device) does not open: \(error)")
        }
    }

    private func setUpFailure(_ error: Errno) -> String {
        switch (step, error) {
        case ("KVM_CREATE_VM", .busy):
            "KVM can't make a machine: another hypervisor (VirtualBox, VMware?) holds the processor's virtualization"
        case ("KVM_GET_API_VERSION", .notTerminal): "\(device) is not a KVM"
        default: "KVM can't make a machine: \(step): \(error)"
        }
    }

    private var exit: String {
        switch Int32(bitPattern: result.exit_reason) {
        case KVM_EXIT_INTERNAL_ERROR where result.value == 1:
            "KVM stops\(place), an instruction it can't emulate (internal error, suberror 1): the host's KVM back end "
                + "has no hardware virtualization"
        case KVM_EXIT_INTERNAL_ERROR: "KVM stops\(place) (internal error, suberror \(result.value))"
        case KVM_EXIT_FAIL_ENTRY:
            "the processor does not enter the guest\(place) (hardware reason 0x\(String(result.value, radix: 16)))"
        case KVM_EXIT_SHUTDOWN: "KVM runs the guest wrongly: triple fault\(place)"
        default: "KVM leaves the guest\(place) for no cause (exit reason \(result.exit_reason))"
        }
    }

    private var slow: String {
        let times = result.guest_ticks / max(result.native_ticks, 1)
        return "KVM runs guest code \(times) times slower than the host: it interprets it"
    }

    /// " at int3"; empty when the guest had not begun.
    private var place: String {
        guard result.stage >= 0, let name = ckvm_stage_name(UInt32(result.stage)) else { return "" }
        return " at \(String(cString: name))"
    }

    /// A busy machine's fault, not KVM's; the caller may try again later.
    private var starved: String {
        let milliseconds = result.child_cpu_ns / 1_000_000
        guard result.child_cpu_ns > 0, milliseconds < UInt64(deadlineMilliseconds) / 4 else { return "" }
        return " (the machine is busy: the probe had \(milliseconds) ms of a processor)"
    }

    private var exception: String {
        let names: [UInt64: String] = [0: "#DE", 1: "#DB", 6: "#UD", 7: "#NM", 8: "#DF", 13: "#GP", 14: "#PF"]
        return names[result.value].map { "\(result.value) (\($0))" } ?? "\(result.value)"
    }

    private var step: String {
        withUnsafeBytes(of: result.step) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

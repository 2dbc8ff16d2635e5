import CKVM
import LinuxSys

/// Asks a KVM to run a guest of a few hundred bytes that executes what a kernel executes and a KVM without hardware
/// virtualization cannot (`guest.S` in CKVM), and to run it at the processor's speed. It happens in a child that is
/// killed at the deadline, so that a KVM that hangs hangs nobody else.
public struct KVMProbe: Sendable {
    public var device: String
    /// All of it, whatever KVM does; at least 20.
    public var deadlineMilliseconds: UInt32
    /// Starts the guest at a loop without an end, for the deadline's test.
    var endless = false

    public init(device: String = "/dev/kvm", deadlineMilliseconds: UInt32 = 200) {
        self.device = device
        self.deadlineMilliseconds = deadlineMilliseconds
    }

    /// The answer and what was measured on the way.
    public struct Report: Equatable, Sendable {
        public let fitness: KVMFitness
        /// The whole probe, from before the child's start to after its end.
        public let nanoseconds: UInt64
        /// How many times slower than the host the guest ran the same code; nil when it did not come so far.
        public let slowdown: Double?

        public init(fitness: KVMFitness, nanoseconds: UInt64, slowdown: Double?) {
            self.fitness = fitness
            self.nanoseconds = nanoseconds
            self.slowdown = slowdown
        }
    }

    /// Runs the probe: some milliseconds, 200 at most.
    public func run() -> Report {
        var result = ckvm_probe_result()
        ckvm_probe(device, deadlineMilliseconds, endless, &result)
        let slowdown = result.native_ticks == 0 ? nil : Double(result.guest_ticks) / Double(result.native_ticks)
        return Report(
            fitness: ProbeVerdict(result, device: device, deadlineMilliseconds: deadlineMilliseconds).fitness,
            nanoseconds: result.total_ns, slowdown: slowdown)
    }

    /// A part of the probe guest's code.
    public struct Stage: Equatable, Sendable {
        public let name: String
        /// In `code`.
        public let offset: Int
    }

    /// The parts in the order of their running; the last is the endless loop, which only the test runs.
    public static var stages: [Stage] {
        (0..<ckvm_stage_count()).map { index in
            Stage(name: String(cString: ckvm_stage_name(index)), offset: Int(ckvm_stage_offset(index)))
        }
    }

    /// The probe guest's machine code.
    public static var code: [UInt8] {
        Array(UnsafeBufferPointer(start: ckvm_code(), count: Int(ckvm_code_size())))
    }
}

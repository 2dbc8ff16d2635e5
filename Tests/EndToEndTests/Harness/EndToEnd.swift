import Glibc
import LinuxSys
import Testing

/// The root of this layer's suites: real guests through the real binary, one test at a time. What a test leaves behind
/// is found as the descendants of this process, so two at once would see each other's.
@Suite(.serialized, .enabled(if: Build.isComplete, Build.reason))
enum EndToEnd {}

/// Swift Testing has one too.
typealias ExitStatus = LinuxSys.ExitStatus

/// What `make build` made, and what it needs.
enum Build {
    /// build/, from the environment: scripts/test.sh sets it.
    static let directory = getenv("KVM_RUNTIME_BUILD").map { String(cString: $0) } ?? ""
    static let binary = directory + "/bin/kvm-runtime"
    static let vmm = directory + "/bin/kvm-vmm"
    static let kernel = directory + "/share/kvm-runtime/vmlinux"
    static let initramfs = directory + "/share/kvm-runtime/initramfs.cpio"
    static let busybox = "/bin/busybox"

    static let missing = [binary, vmm, kernel, initramfs, busybox, "/usr/bin/setsid"].filter { !File.exists($0) }
    static let isComplete = directory.hasPrefix("/") && missing.isEmpty && geteuid() == 0

    static let reason: Comment = {
        if directory.isEmpty { return "KVM_RUNTIME_BUILD is not set: run it with `make test LAYERS=end-to-end`" }
        if geteuid() != 0 { return "needs root" }
        return "missing: \(missing.joined(separator: ", ")); run `make build` (and apt-get install busybox-static)"
    }()
}

/// A moment by which something must have happened.
struct Deadline {
    let time: UInt64

    init(seconds: Double) { time = Clock.monotonicNanoseconds() + UInt64(seconds * 1e9) }

    /// For whatever boots a guest. A machine without KVM that is busy with other things takes long; what hangs takes
    /// for ever.
    static var patient: Deadline { Deadline(seconds: 120) }

    var hasPassed: Bool { Clock.monotonicNanoseconds() >= time }

    /// For poll(2).
    var milliseconds: CInt {
        let now = Clock.monotonicNanoseconds()
        return now >= time ? 0 : CInt(clamping: (time - now) / 1_000_000 + 1)
    }
}

/// Asks again and again until it is so; false when the time is over.
func eventually(within seconds: Double = 120, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Deadline(seconds: seconds)
    while true {
        if try condition() { return true }
        if deadline.hasPassed { return false }
        usleep(10_000)
    }
}

/// Why a test can't go on.
struct Trouble: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

import CKVM
import LinuxSys

/// The host's time stamp counter, for the guest's `tsc_early_khz=`: a guest that has to find the frequency out by
/// itself, against an emulated PIT, loses a tenth of a second and sometimes hangs.
public struct HostTSC: Equatable, Sendable {
    public let kilohertz: UInt32
    public let source: Source

    /// Who says so.
    public enum Source: String, Sendable {
        /// CPUID leaf 0x15: the crystal's frequency and the ratio to it.
        case crystal = "CPUID leaf 0x15"
        /// CPUID leaf 0x40000010: the hypervisor that this host runs under.
        case hypervisor = "CPUID leaf 0x40000010"
        /// Counted against CLOCK_MONOTONIC_RAW.
        case measured
    }

    /// The frequency: see `read()`.
    public static func kilohertz() -> UInt32? { read()?.kilohertz }

    /// What CPUID says, when a count of a quarter of a millisecond agrees within 1 %; else a count of 1.5 ms.
    /// nil when the count is not steady or absurd: then the guest has to find out by itself.
    public static func read() -> HostTSC? {
        let told = fromCPUID()
        guard let rough = measure(microseconds: told == nil ? 1500 : 250) else { return nil }
        guard let told else { return plausible(rough) }
        if agree(told.kilohertz, rough, within: 0.01) { return told }
        return measure(microseconds: 1500).flatMap { plausible($0) }
    }

    private static func plausible(_ kilohertz: UInt32) -> HostTSC? {
        agreesWithProcessorList(kilohertz) ? HostTSC(kilohertz: kilohertz, source: .measured) : nil
    }

    static func agree(_ one: UInt32, _ other: UInt32, within share: Double) -> Bool {
        let distance = one > other ? one - other : other - one
        return Double(distance) <= share * Double(other)
    }

    private static func fromCPUID() -> HostTSC? {
        var registers: [UInt32] = [0, 0, 0, 0]
        if ckvm_cpuid(0x15, 0, &registers), let kilohertz = crystal(registers) {
            return HostTSC(kilohertz: kilohertz, source: .crystal)
        }
        if ckvm_cpuid(0x4000_0010, 0, &registers), registers[0] > 0 {
            return HostTSC(kilohertz: registers[0], source: .hypervisor)
        }
        return nil
    }

    /// Leaf 0x15: eax and ebx are the ratio, ecx the crystal in Hz, which some processors leave out.
    static func crystal(_ registers: [UInt32]) -> UInt32? {
        guard registers[0] > 0, registers[1] > 0, registers[2] > 0 else { return nil }
        let hertz = UInt64(registers[2]) * UInt64(registers[1]) / UInt64(registers[0])
        return UInt32(exactly: (hertz + 500) / 1000)
    }

    /// Counts for about `microseconds`, in two halves, which must agree to 0.05 %: a clock of coarse steps, or a task
    /// switch at the wrong place, makes the count worthless. Three attempts.
    static func measure(microseconds: UInt64) -> UInt32? {
        for _ in 0..<3 {
            guard let from = reading(after: 0), let middle = reading(after: from.nanoseconds + microseconds * 500),
                let to = reading(after: middle.nanoseconds + microseconds * 500), let first = rate(from, middle),
                let second = rate(middle, to), agree(first, second, within: 0.0005)
            else { continue }
            return rate(from, to)
        }
        return nil
    }

    /// Both clocks once CLOCK_MONOTONIC_RAW is past `nanoseconds`: the closest pair of many. nil when it stands still.
    private static func reading(after nanoseconds: UInt64) -> ckvm_tick? {
        var tick = ckvm_tick()
        ckvm_tick(1, &tick)
        let begin = tick.tsc
        while tick.nanoseconds < nanoseconds {
            ckvm_tick(1, &tick)
            // A twentieth to a quarter of a second on any processor of today.
            if tick.tsc &- begin > 1 << 28 { return nil }
        }
        ckvm_tick(16, &tick)
        return tick
    }

    private static func rate(_ from: ckvm_tick, _ to: ckvm_tick) -> UInt32? {
        guard to.tsc > from.tsc, to.nanoseconds > from.nanoseconds else { return nil }
        let nanoseconds = to.nanoseconds - from.nanoseconds
        let (scaled, overflow) = (to.tsc - from.tsc).multipliedReportingOverflow(by: 1_000_000)
        return overflow ? nil : UInt32(exactly: (scaled + nanoseconds / 2) / nanoseconds)
    }

    /// /proc/cpuinfo's "cpu MHz" is the core's frequency of the moment where the kernel scales it, from an eighth to
    /// a few times the TSC's: enough to find a nonsense out. No list, no objection.
    private static func agreesWithProcessorList(_ kilohertz: UInt32) -> Bool {
        guard let megahertz = listedMegahertz() else { return true }
        let ratio = Double(kilohertz) / 1000 / megahertz
        return ratio > 1.0 / 16 && ratio < 16
    }

    static func listedMegahertz() -> Double? {
        guard let file = try? FileDescriptor.open("/proc/cpuinfo", 0), let bytes = try? file.read(upTo: 4096) else {
            return nil
        }
        for line in bytes.split(separator: UInt8(ascii: "\n")) where line.starts(with: "cpu MHz".utf8) {
            let value = line.drop { $0 != UInt8(ascii: ":") }.dropFirst().drop { $0 == UInt8(ascii: " ") }
            return Double(String(decoding: value, as: UTF8.self)).flatMap { $0 > 0 ? $0 : nil }
        }
        return nil
    }
}

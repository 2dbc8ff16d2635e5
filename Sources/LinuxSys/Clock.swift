import CLinux

/// The kernel's clocks, in nanoseconds.
public enum Clock {
    /// CLOCK_MONOTONIC: for intervals and deadlines.
    public static func monotonicNanoseconds() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// CLOCK_REALTIME: nanoseconds since 1970.
    public static func realtimeNanoseconds() -> UInt64 { read(CLOCK_REALTIME) }

    /// CLOCK_BOOTTIME: since the kernel's start, suspension included.
    public static func bootNanoseconds() -> UInt64 { read(CLOCK_BOOTTIME) }

    /// Sets CLOCK_REALTIME; needs CAP_SYS_TIME.
    public static func setRealtime(nanoseconds: UInt64) throws(Errno) {
        var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        _ = try once { clock_settime(CLOCK_REALTIME, &time) }
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

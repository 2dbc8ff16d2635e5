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

/// A descriptor that becomes readable when CLOCK_REALTIME makes a jump: a timer that never fires, but is cancelled when
/// the clock is set (TFD_TIMER_CANCEL_ON_SET, timerfd_create(2)).
public struct ClockJumpDescriptor: ~Copyable {
    private let descriptor: FileDescriptor
    public var raw: CInt { descriptor.raw }

    public init() throws(Errno) {
        let flags = CInt(TFD_CLOEXEC) | CInt(TFD_NONBLOCK)
        let timer = FileDescriptor(owning: try once { timerfd_create(CLOCK_REALTIME, flags) })
        try Self.arm(timer)
        descriptor = timer
    }

    /// Whether the clock jumped since the last call; armed again.
    public func take() -> Bool {
        var count: UInt64 = 0
        guard CLinux.read(descriptor.raw, &count, 8) < 0, Errno.current.rawValue == ECANCELED else { return false }
        try? Self.arm(descriptor)
        return true
    }

    private static func arm(_ timer: borrowing FileDescriptor) throws(Errno) {
        // The year 2242: never, but a number that the kernel takes.
        var time = itimerspec(it_interval: timespec(), it_value: timespec(tv_sec: 1 << 33, tv_nsec: 0))
        let flags = CInt(TFD_TIMER_ABSTIME) | CInt(TFD_TIMER_CANCEL_ON_SET)
        _ = try once { timerfd_settime(timer.raw, flags, &time, nil) }
    }
}

/// How long a transport looks at the queues by itself after the last buffer, before it asks to be kicked and sleeps.
///
/// A kick costs the guest an exit, or an emulator's way to it, and the device a wake-up; on the way of requests that are
/// waited for one by one that is a good part of the time. Looking costs a processor. So the window follows what is seen,
/// as KVM's own halt polling does: it grows when a buffer comes soon after the transport went to sleep, and shrinks when
/// it would have had to look for longer than is allowed.
public struct BusyPolling: Equatable, Sendable {
    /// The first step, and below this there is none: a kick costs about as much.
    static let shortest: UInt64 = 20_000

    /// Nanoseconds at most; 0 is never.
    public let longest: UInt64
    /// Nanoseconds to look for, now.
    public private(set) var window: UInt64 = 0

    public init(longestNanoseconds: UInt64) { longest = longestNanoseconds }

    public var isOff: Bool { longest == 0 }

    /// There is a buffer again.
    /// - Parameter gap: nanoseconds since the last one was done with.
    public mutating func found(after gap: UInt64) {
        if gap <= window { return }
        if gap <= longest {
            window = min(max(2 * window, Self.shortest), longest)
        } else {
            window /= 2
            if window < Self.shortest { window = 0 }
        }
    }
}

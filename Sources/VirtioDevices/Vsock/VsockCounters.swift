/// What the device has done, for a person who looks for what is slow or wrong. Each wraps after 2^64.
public struct VsockCounters: Equatable, Sendable {
    /// Packets and payload bytes, by direction.
    public var packetsFromGuest: UInt64 = 0
    public var packetsToGuest: UInt64 = 0
    public var bytesFromGuest: UInt64 = 0
    public var bytesToGuest: UInt64 = 0
    /// Bytes that a socket did not take at once and that were copied.
    public var bytesBuffered: UInt64 = 0
    public var connectionsFromGuest: UInt64 = 0
    public var connectionsToGuest: UInt64 = 0
    /// RST packets sent.
    public var resets: UInt64 = 0
    /// Packets without a whole header, and buffers too small for one.
    public var badPackets: UInt64 = 0
    /// Connections that were turned away because there were too many.
    public var refusedForNumber: UInt64 = 0
    public var interrupts: UInt64 = 0

    public init() {}
}

/// What the device has done, for a person who looks for what is slow or wrong. Each wraps after 2^64.
public struct BlockCounters: Equatable, Sendable {
    public var requests: UInt64 = 0
    /// Requests that were answered with an error, those of which the device knows no such thing included.
    public var errors: UInt64 = 0
    /// Without a whole header or room for the status, of a wrong direction or length, or beyond the end of the disk.
    public var badRequests: UInt64 = 0
    public var bytesRead: UInt64 = 0
    public var bytesWritten: UInt64 = 0
    public var flushes: UInt64 = 0
    /// Ranges of DISCARD and WRITE_ZEROES.
    public var discards: UInt64 = 0
    public var zeroes: UInt64 = 0
    public var interrupts: UInt64 = 0

    public init() {}
}

/// What the device has done, for a person who looks for what is slow or wrong. Each wraps after 2^64.
public struct FileSystemCounters: Equatable, Sendable {
    public var requests: UInt64 = 0
    /// Requests that were answered with an error.
    public var errors: UInt64 = 0
    /// Without a whole header, or not of the form that their operation has.
    public var badRequests: UInt64 = 0
    public var bytesRead: UInt64 = 0
    public var bytesWritten: UInt64 = 0
    public var interrupts: UInt64 = 0
    /// How often another thread took over, because one did not come back from a system call.
    public var handovers: UInt64 = 0

    public init() {}
}

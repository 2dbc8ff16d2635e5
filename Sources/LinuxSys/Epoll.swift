import CLinux

/// What epoll(7) says of a descriptor.
public struct ReadyEvents: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let readable = ReadyEvents(rawValue: EPOLLIN.rawValue)
    /// Something out of the ordinary; how files of /proc and cgroups say that they have changed.
    public static let priority = ReadyEvents(rawValue: EPOLLPRI.rawValue)
    public static let writable = ReadyEvents(rawValue: EPOLLOUT.rawValue)
    /// The peer closed its writing half.
    public static let peerClosed = ReadyEvents(rawValue: EPOLLRDHUP.rawValue)
    public static let hangUp = ReadyEvents(rawValue: EPOLLHUP.rawValue)
    public static let error = ReadyEvents(rawValue: EPOLLERR.rawValue)
    /// Tell each change once, not as long as it lasts. Only for asking.
    public static let edgeTriggered = ReadyEvents(rawValue: EPOLLET.rawValue)
}

/// An epoll instance, level-triggered unless asked otherwise.
public struct Epoll: ~Copyable {
    private let descriptor: FileDescriptor
    /// Readable while anything is ready: an epoll can be watched by another.
    public var raw: CInt { descriptor.raw }

    public init() throws(Errno) { descriptor = FileDescriptor(owning: try once { epoll_create1(CInt(EPOLL_CLOEXEC)) }) }

    /// - Throws: `notPermitted` when the file can't be waited for (a regular file): it is always ready.
    public func add(_ fd: CInt, _ events: ReadyEvents, token: UInt64) throws(Errno) {
        try control(EPOLL_CTL_ADD, fd, events, token)
    }

    public func modify(_ fd: CInt, _ events: ReadyEvents, token: UInt64) throws(Errno) {
        try control(EPOLL_CTL_MOD, fd, events, token)
    }

    public func remove(_ fd: CInt) throws(Errno) { try control(EPOLL_CTL_DEL, fd, [], 0) }

    private func control(_ operation: CInt, _ fd: CInt, _ events: ReadyEvents, _ token: UInt64) throws(Errno) {
        var event = epoll_event(events: events.rawValue, data: epoll_data_t(u64: token))
        _ = try once { epoll_ctl(descriptor.raw, operation, fd, &event) }
    }

    /// Waits and hands each event to `body`. An interruption by a signal counts as no event.
    /// - Parameter milliseconds: how long to wait at most; -1 is for ever.
    public func wait(milliseconds: CInt, _ body: (UInt64, ReadyEvents) -> Void) throws(Errno) {
        let room = 32
        var failure: Errno?
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: room) { buffer in
            let count = epoll_wait(descriptor.raw, buffer.baseAddress, CInt(room), milliseconds)
            if count < 0 {
                let error = Errno.current
                if error != .interrupted { failure = error }
                return
            }
            for index in 0..<Int(count) {
                body(buffer[index].data.u64, ReadyEvents(rawValue: buffer[index].events))
            }
        }
        if let failure { throw failure }
    }
}

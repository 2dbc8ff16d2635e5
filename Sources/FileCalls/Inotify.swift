import CFileCalls
import CLinux
import LinuxSys

/// Watches files of the host (inotify(7)).
public struct Inotify: ~Copyable {
    /// `IN_…`.
    public struct Events: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let modified = Events(rawValue: 0x2)
        public static let attributes = Events(rawValue: 0x4)
        public static let closedAfterWriting = Events(rawValue: 0x8)
        public static let movedFrom = Events(rawValue: 0x40)
        public static let movedTo = Events(rawValue: 0x80)
        public static let created = Events(rawValue: 0x100)
        public static let deleted = Events(rawValue: 0x200)
        public static let selfDeleted = Events(rawValue: 0x400)
        /// The watch is gone.
        public static let ignored = Events(rawValue: 0x8000)
        public static let isDirectory = Events(rawValue: 0x4000_0000)
    }

    public struct Event: Sendable {
        public var watch: Int32
        public var events: Events
        /// The same for both halves of a rename.
        public var cookie: UInt32
        /// In the directory that is watched; empty when it is the watched file itself.
        public var name: [UInt8]
    }

    private static let bufferBytes = 16384
    private let descriptor: FileDescriptor
    /// Readable when there are events.
    public var raw: CInt { descriptor.raw }

    public init() throws(Errno) { descriptor = FileDescriptor(owning: try once { cfile_watch_init() }) }

    /// - Returns: the watch's number; the same file always has the same.
    public func add(_ file: borrowing FileDescriptor, _ events: Events) throws(Errno) -> Int32 {
        let (own, fd) = (descriptor.raw, file.raw)
        return try once { cfile_watch(own, fd, events.rawValue) }
    }

    public func remove(_ watch: Int32) { _ = cfile_unwatch(descriptor.raw, watch) }

    /// The events that are there; none is no error.
    public func read() throws(Errno) -> [Event] {
        var all: [Event] = []
        while true {
            let bytes: [UInt8]
            do throws(Errno) { bytes = try descriptor.read(upTo: Self.bufferBytes) } catch .wouldBlock { return all }
            if bytes.isEmpty { return all }
            var at = 0
            // struct inotify_event: watch, events, cookie, length of the name with its NULs.
            while at + 16 <= bytes.count {
                func number(_ offset: Int) -> UInt32 {
                    (0..<4).reduce(0) { $0 | UInt32(bytes[at + offset + $1]) << UInt32(8 * $1) }
                }
                let end = min(at + 16 + Int(number(12)), bytes.count)
                all.append(
                    Event(
                        watch: Int32(bitPattern: number(0)), events: Events(rawValue: number(4)), cookie: number(8),
                        name: Array(bytes[(at + 16)..<end].prefix { $0 != 0 })))
                at = end
            }
        }
    }
}

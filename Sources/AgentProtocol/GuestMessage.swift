/// What the agent says to the host.
public enum GuestMessage: Equatable, Sendable {
    case hello(Hello)
    /// The request was carried out.
    case done
    /// The answer to `create` and `exec`.
    case created(Created)
    case processes([ProcessEntry])
    case contents([FileContents])
    case failed(Failure)
    /// A container's child could not carry out its plan.
    case stepFailed(StepFailure)
    /// A process of the host's has ended. Every byte that it wrote has been handed to its streams; if it is an init, the
    /// file systems are synced too.
    case exited(ProcessExit)
    /// The kernel has killed a process of this container for want of memory, `count` times by now.
    case outOfMemory(container: String, count: UInt64)
    /// What a tree's watched files are has changed.
    case watching(WatchedFiles)
    /// A process has connected to a socket of the host's.
    case socketOpened(SocketOpened)

    private enum Kind: UInt8 {
        case hello = 129
        case done, created, failed, exited, watching, stepFailed, processes, contents, outOfMemory
        case socketOpened
    }

    public func frame(request: UInt32) -> Frame {
        var writer = WireWriter()
        let kind: Kind
        switch self {
        case .hello(let hello):
            kind = .hello
            hello.write(to: &writer)
        case .done:
            kind = .done
        case .created(let created):
            kind = .created
            created.write(to: &writer)
        case .failed(let failure):
            kind = .failed
            failure.write(to: &writer)
        case .processes(let entries):
            kind = .processes
            writer.put(UInt32(truncatingIfNeeded: entries.count))
            for entry in entries { entry.write(to: &writer) }
        case .contents(let files):
            kind = .contents
            writer.put(UInt32(truncatingIfNeeded: files.count))
            for file in files { file.write(to: &writer) }
        case .outOfMemory(let container, let count):
            kind = .outOfMemory
            writer.put(container)
            writer.put(count)
        case .stepFailed(let failure):
            kind = .stepFailed
            failure.write(to: &writer)
        case .exited(let exit):
            kind = .exited
            exit.write(to: &writer)
        case .watching(let files):
            kind = .watching
            files.write(to: &writer)
        case .socketOpened(let opened):
            kind = .socketOpened
            opened.write(to: &writer)
        }
        return Frame(request: request, kind: kind.rawValue, payload: writer.bytes)
    }

    public init(_ frame: Frame) throws(WireError) {
        guard let kind = Kind(rawValue: frame.kind) else { throw .unknownKind(frame.kind) }
        var reader = WireReader(frame.payload[...])
        switch kind {
        case .hello: self = .hello(try Hello(from: &reader))
        case .done: self = .done
        case .created: self = .created(try Created(from: &reader))
        case .failed: self = .failed(try Failure(from: &reader))
        case .processes:
            var entries: [ProcessEntry] = []
            for _ in 0..<(try reader.count("processes")) { entries.append(try ProcessEntry(from: &reader)) }
            self = .processes(entries)
        case .contents:
            var files: [FileContents] = []
            for _ in 0..<(try reader.count("contents")) { files.append(try FileContents(from: &reader)) }
            self = .contents(files)
        case .outOfMemory: self = .outOfMemory(container: try reader.container(), count: try reader.integer())
        case .stepFailed: self = .stepFailed(try StepFailure(from: &reader))
        case .exited: self = .exited(try ProcessExit(from: &reader))
        case .watching: self = .watching(try WatchedFiles(from: &reader))
        case .socketOpened: self = .socketOpened(try SocketOpened(from: &reader))
        }
        try reader.finish()
    }
}

/// The agent's half of the first exchange.
public struct Hello: Equatable, Sendable {
    public var version: UInt16
    /// `uname -r` of the guest.
    public var kernel: String
    /// The guest's CLOCK_BOOTTIME when it was sent, in nanoseconds: how long ago its kernel was entered.
    public var uptime: UInt64

    public init(version: UInt16 = wireVersion, kernel: String, uptime: UInt64) {
        self.version = version
        self.kernel = kernel
        self.uptime = uptime
    }

    func write(to writer: inout WireWriter) {
        writer.put(version)
        writer.put(kernel)
        writer.put(uptime)
    }

    init(from reader: inout WireReader) throws(WireError) {
        version = try reader.integer()
        kernel = try reader.text("kernel", limit: 256)
        uptime = try reader.integer()
    }
}

/// A container that is ready to start, or a process that runs.
public struct Created: Equatable, Sendable {
    /// The process's pid in the guest.
    public var pid: UInt32
    /// The guest's CLOCK_BOOTTIME when the rootfs was mounted, in nanoseconds; 0 if none was.
    public var rootfsMounted: UInt64

    public init(pid: UInt32, rootfsMounted: UInt64) {
        self.pid = pid
        self.rootfsMounted = rootfsMounted
    }

    func write(to writer: inout WireWriter) {
        writer.put(pid)
        writer.put(rootfsMounted)
    }

    init(from reader: inout WireReader) throws(WireError) {
        pid = try reader.integer()
        rootfsMounted = try reader.integer()
    }
}

/// Why a request could not be carried out, in words for the person who made it.
public struct Failure: Error, Equatable, Sendable {
    /// Who has to act.
    public enum Kind: UInt8, Sendable {
        /// The container's configuration or its files.
        case container = 1
        /// The guest: its kernel, its memory, the agent itself.
        case guest
        /// The request came at the wrong time, or for an unknown container.
        case state
        /// The program to run does not exist or isn't in PATH.
        case programNotFound
        /// The program to run can't be executed.
        case programNotExecutable
    }

    public var kind: Kind
    public var message: String

    public init(kind: Kind, message: String) {
        self.kind = kind
        self.message = message
    }

    func write(to writer: inout WireWriter) {
        writer.put(kind.rawValue)
        writer.put(Array(message.utf8.prefix(WireLimit.text)))
    }

    init(from reader: inout WireReader) throws(WireError) {
        guard let kind = Kind(rawValue: try reader.integer()) else { throw .badValue(field: "failure") }
        self.kind = kind
        // A cut in the middle of a character, or whatever a hostile guest sends, is repaired and not refused.
        message = String(decoding: try reader.bytes("message", limit: WireLimit.text), as: UTF8.self)
    }
}

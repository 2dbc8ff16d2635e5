/// What the host says to the agent.
public enum HostMessage: Equatable, Sendable {
    case welcome(Welcome)
    case create(CreateContainer)
    case start(container: String)
    case signal(SendSignal)
    case resize(ResizeTerminal)
    /// Nanoseconds since 1970, at the moment of sending.
    case setClock(nanoseconds: UInt64)
    case fileChanged(FileChanged)
    /// Ends every process, syncs the file systems, answers `done`, and powers the guest off. Whoever reads the answer may
    /// end the machine at once.
    case shutdown

    private enum Kind: UInt8 { case welcome = 1, create, start, signal, resize, setClock, shutdown, fileChanged }

    public func frame(request: UInt32) -> Frame {
        var writer = WireWriter()
        let kind: Kind
        switch self {
        case .welcome(let welcome):
            kind = .welcome
            welcome.write(to: &writer)
        case .create(let create):
            kind = .create
            create.write(to: &writer)
        case .start(let container):
            kind = .start
            writer.put(container)
        case .signal(let signal):
            kind = .signal
            signal.write(to: &writer)
        case .resize(let resize):
            kind = .resize
            resize.write(to: &writer)
        case .setClock(let nanoseconds):
            kind = .setClock
            writer.put(nanoseconds)
        case .fileChanged(let change):
            kind = .fileChanged
            change.write(to: &writer)
        case .shutdown:
            kind = .shutdown
        }
        return Frame(request: request, kind: kind.rawValue, payload: writer.bytes)
    }

    public init(_ frame: Frame) throws(WireError) {
        guard let kind = Kind(rawValue: frame.kind) else { throw .unknownKind(frame.kind) }
        var reader = WireReader(frame.payload[...])
        switch kind {
        case .welcome: self = .welcome(try Welcome(from: &reader))
        case .create: self = .create(try CreateContainer(from: &reader))
        case .start: self = .start(container: try reader.text("container", limit: WireLimit.id))
        case .signal: self = .signal(try SendSignal(from: &reader))
        case .resize: self = .resize(try ResizeTerminal(from: &reader))
        case .setClock: self = .setClock(nanoseconds: try reader.integer())
        case .fileChanged: self = .fileChanged(try FileChanged(from: &reader))
        case .shutdown: self = .shutdown
        }
        try reader.finish()
    }
}

/// The host's half of the first exchange.
public struct Welcome: Equatable, Sendable {
    public var version: UInt16
    /// The host's CLOCK_REALTIME at the moment of sending, in nanoseconds.
    public var realtime: UInt64
    /// Bytes of the host's random generator, credited to the guest's.
    public var seed: [UInt8]

    public init(version: UInt16 = wireVersion, realtime: UInt64, seed: [UInt8]) {
        self.version = version
        self.realtime = realtime
        self.seed = seed
    }

    func write(to writer: inout WireWriter) {
        writer.put(version)
        writer.put(realtime)
        writer.put(seed)
    }

    init(from reader: inout WireReader) throws(WireError) {
        version = try reader.integer()
        realtime = try reader.integer()
        seed = try reader.bytes("seed", limit: WireLimit.seed)
    }
}

/// The channels of a container process. A channel that is nil is /dev/null inside.
public enum Stdio: Equatable, Sendable {
    /// A pty in the guest; one stream carries both directions.
    case terminal(stream: UInt32, rows: UInt16, columns: UInt16)
    case pipes(stdin: UInt32?, stdout: UInt32?, stderr: UInt32?)

    func write(to writer: inout WireWriter) {
        switch self {
        case .terminal(let stream, let rows, let columns):
            writer.put(UInt8(1))
            writer.put(stream)
            writer.put(rows)
            writer.put(columns)
        case .pipes(let stdin, let stdout, let stderr):
            writer.put(UInt8(0))
            writer.put(stdin)
            writer.put(stdout)
            writer.put(stderr)
        }
    }

    init(from reader: inout WireReader) throws(WireError) {
        switch try reader.integer(UInt8.self) {
        case 0:
            self = .pipes(
                stdin: try reader.optional("stdin"), stdout: try reader.optional("stdout"),
                stderr: try reader.optional("stderr"))
        case 1:
            self = .terminal(stream: try reader.integer(), rows: try reader.integer(), columns: try reader.integer())
        default: throw .badValue(field: "stdio")
        }
    }
}

/// Makes a container, ready to start: namespaces, mounts, cgroup, its init held before exec.
public struct CreateContainer: Equatable, Sendable {
    /// Where in the share a bind mount of config.json is to be found.
    public struct BindSource: Equatable, Sendable {
        /// The index in config.json's `mounts`.
        public var mount: UInt32
        /// A path below the share's root, without a leading slash.
        public var path: String

        public init(mount: UInt32, path: String) {
            self.mount = mount
            self.path = path
        }
    }

    public var container: String
    /// config.json.
    public var spec: [UInt8]
    /// The virtio-fs tag of the share that holds the rootfs and the binds.
    public var shareTag: String
    /// The rootfs, a path below the share's root, without a leading slash.
    public var rootfs: String
    public var binds: [BindSource]
    public var stdio: Stdio

    public init(
        container: String, spec: [UInt8], shareTag: String, rootfs: String, binds: [BindSource], stdio: Stdio
    ) {
        self.container = container
        self.spec = spec
        self.shareTag = shareTag
        self.rootfs = rootfs
        self.binds = binds
        self.stdio = stdio
    }

    func write(to writer: inout WireWriter) {
        writer.put(container)
        writer.put(spec)
        writer.put(shareTag)
        writer.put(rootfs)
        writer.put(UInt32(truncatingIfNeeded: binds.count))
        for bind in binds {
            writer.put(bind.mount)
            writer.put(bind.path)
        }
        stdio.write(to: &writer)
    }

    init(from reader: inout WireReader) throws(WireError) {
        container = try reader.text("container", limit: WireLimit.id)
        spec = try reader.bytes("spec", limit: WireLimit.spec)
        shareTag = try reader.text("shareTag", limit: 36)
        rootfs = try reader.text("rootfs")
        binds = []
        for _ in 0..<(try reader.count("binds")) {
            binds.append(BindSource(mount: try reader.integer(), path: try reader.text("bind")))
        }
        stdio = try Stdio(from: &reader)
    }
}

/// A signal for a container.
public struct SendSignal: Equatable, Sendable {
    public var container: String
    /// 1 to 64.
    public var signal: UInt8
    /// To every process of the container, not only its init.
    public var all: Bool

    public init(container: String, signal: UInt8, all: Bool) {
        self.container = container
        self.signal = signal
        self.all = all
    }

    func write(to writer: inout WireWriter) {
        writer.put(container)
        writer.put(signal)
        writer.put(all)
    }

    init(from reader: inout WireReader) throws(WireError) {
        container = try reader.text("container", limit: WireLimit.id)
        signal = try reader.integer()
        all = try reader.bool("all")
        guard (1...64).contains(signal) else { throw .badValue(field: "signal") }
    }
}

/// The new size of the caller's terminal.
public struct ResizeTerminal: Equatable, Sendable {
    public var container: String
    public var rows: UInt16
    public var columns: UInt16

    public init(container: String, rows: UInt16, columns: UInt16) {
        self.container = container
        self.rows = rows
        self.columns = columns
    }

    func write(to writer: inout WireWriter) {
        writer.put(container)
        writer.put(rows)
        writer.put(columns)
    }

    init(from reader: inout WireReader) throws(WireError) {
        container = try reader.text("container", limit: WireLimit.id)
        rows = try reader.integer()
        columns = try reader.integer()
    }
}

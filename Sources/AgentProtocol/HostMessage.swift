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

/// What the host says to the agent.
public enum HostMessage: Equatable, Sendable {
    case welcome(Welcome)
    /// Makes a disk the guest's own root, before there is any container; answered `done`.
    case enterRoot(GuestDisk)
    case create(CreateContainer)
    case start(container: String)
    /// Runs another process in a container; answered `created` when it has been executed.
    case exec(ExecProcess)
    case signal(SendSignal)
    case resize(ResizeTerminal)
    /// Nanoseconds since 1970, at the moment of sending.
    case setClock(nanoseconds: UInt64)
    case fileChanged(FileChanged)
    /// Stops every process of a container where it is, or lets them go on.
    case freeze(container: String, frozen: Bool)
    /// Changes the limits of a container's cgroup; answered `done`.
    case update(container: String, settings: [CgroupSetting])
    /// Answered `processes`.
    case listProcesses(container: String)
    /// Files of a container's cgroup; answered `contents`.
    case readCgroup(container: String, files: [String])
    /// Ends every process, syncs the file systems, answers `done`, and powers the guest off. Whoever reads the answer may
    /// end the machine at once.
    case shutdown

    private enum Kind: UInt8 {
        case welcome = 1
        case create, start, signal, resize, setClock, shutdown, fileChanged, exec, freeze, update, listProcesses
        case readCgroup, enterRoot
    }

    public func frame(request: UInt32) -> Frame {
        var writer = WireWriter()
        let kind: Kind
        switch self {
        case .welcome(let welcome):
            kind = .welcome
            welcome.write(to: &writer)
        case .enterRoot(let disk):
            kind = .enterRoot
            disk.write(to: &writer)
        case .create(let create):
            kind = .create
            create.write(to: &writer)
        case .start(let container):
            kind = .start
            writer.put(container)
        case .exec(let exec):
            kind = .exec
            exec.write(to: &writer)
        case .freeze(let container, let frozen):
            kind = .freeze
            writer.put(container)
            writer.put(frozen)
        case .update(let container, let settings):
            kind = .update
            writer.put(container)
            writer.put(settings)
        case .listProcesses(let container):
            kind = .listProcesses
            writer.put(container)
        case .readCgroup(let container, let files):
            kind = .readCgroup
            writer.put(container)
            writer.put(files)
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
        case .enterRoot: self = .enterRoot(try GuestDisk(from: &reader))
        case .create: self = .create(try CreateContainer(from: &reader))
        case .start: self = .start(container: try reader.container())
        case .exec: self = .exec(try ExecProcess(from: &reader))
        case .freeze: self = .freeze(container: try reader.container(), frozen: try reader.bool("frozen"))
        case .update: self = .update(container: try reader.container(), settings: try reader.settings())
        case .listProcesses: self = .listProcesses(container: try reader.container())
        case .readCgroup: self = .readCgroup(container: try reader.container(), files: try reader.texts("files"))
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

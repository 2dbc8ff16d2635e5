/// A descriptor that a process has behind its stdio (runc's `--preserve-fds`): the first is its descriptor 3. Descriptors
/// of the host can't cross into a guest; what is behind them can, as one of these.
public enum PassedDescriptor: Equatable, Sendable {
    /// A pipe's reading end: the stream ends when the host's writers are gone.
    case reader(stream: UInt32)
    /// A pipe's writing end.
    case writer(stream: UInt32)
    /// A connected stream socket; bytes pass and ends do, descriptors and credentials do not.
    case socket(stream: UInt32)
    /// A listening stream socket: the host opens the stream once for each connection that it has taken.
    case listener(stream: UInt32)
    /// A file or a directory of the share: its name in the share's root, flags of open(2) and where it stands, in bytes.
    case file(name: String, flags: UInt32, offset: UInt64)
    /// One of the devices without a state that every Linux has.
    case device(Device)

    /// The raw values are those of the wire.
    public enum Device: UInt8, CaseIterable, Sendable {
        case null = 1
        case zero, full, random, urandom
    }

    /// What a process can have; the streams of processes are numbered so that there is room for these.
    public static let most = 60
    /// Of open(2), all that a file that is handed over may be opened with: O_ACCMODE, O_APPEND, O_NONBLOCK, O_DSYNC,
    /// O_DIRECT, O_DIRECTORY, O_NOATIME, O_SYNC.
    public static let fileFlags: UInt32 = 0o3 | 0o2000 | 0o4000 | 0o10000 | 0o40000 | 0o200000 | 0o1000000 | 0o4010000

    func write(to writer: inout WireWriter) {
        switch self {
        case .reader(let stream): writer.put(kind: 1, stream)
        case .writer(let stream): writer.put(kind: 2, stream)
        case .socket(let stream): writer.put(kind: 3, stream)
        case .listener(let stream): writer.put(kind: 4, stream)
        case .file(let name, let flags, let offset):
            writer.put(UInt8(5))
            writer.put(name)
            writer.put(flags)
            writer.put(offset)
        case .device(let device):
            writer.put(UInt8(6))
            writer.put(device.rawValue)
        }
    }

    init(from reader: inout WireReader) throws(WireError) {
        switch try reader.integer(UInt8.self) {
        case 1: self = .reader(stream: try reader.integer())
        case 2: self = .writer(stream: try reader.integer())
        case 3: self = .socket(stream: try reader.integer())
        case 4: self = .listener(stream: try reader.integer())
        case 5:
            let name = try reader.text("passed.name", limit: WireLimit.name)
            let flags: UInt32 = try reader.integer()
            // A name of the share's root, and nothing that leads elsewhere.
            guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")),
                flags & ~Self.fileFlags == 0
            else { throw .badValue(field: "passed.file") }
            self = .file(name: name, flags: flags, offset: try reader.integer())
        case 6:
            guard let device = Device(rawValue: try reader.integer()) else { throw .badValue(field: "passed.device") }
            self = .device(device)
        default: throw .badValue(field: "passed")
        }
    }
}

extension WireWriter {
    fileprivate mutating func put(kind: UInt8, _ stream: UInt32) {
        put(kind)
        put(stream)
    }

    mutating func put(_ passed: [PassedDescriptor]) {
        put(UInt32(truncatingIfNeeded: passed.count))
        for descriptor in passed { descriptor.write(to: &self) }
    }
}

extension WireReader {
    mutating func passed() throws(WireError) -> [PassedDescriptor] {
        var passed: [PassedDescriptor] = []
        for _ in 0..<(try count("passed", limit: PassedDescriptor.most)) {
            passed.append(try PassedDescriptor(from: &self))
        }
        return passed
    }
}

/// The numbers of the streams of a process: no two processes of a sandbox have the same.
public struct StdioStreams: Equatable, Sendable {
    public var stdin: UInt32
    public var stdout: UInt32 { stdin &+ 1 }
    public var stderr: UInt32 { stdin &+ 2 }
    public var terminal: UInt32 { stdin &+ 3 }

    /// Streams that a process can have.
    public static let perProcess: UInt32 = 64

    /// Of the process with this number.
    public init(process: UInt32) { stdin = process &* Self.perProcess }

    /// The stream of what is handed over as descriptor 3 + `index`; `index` is below `PassedDescriptor.most`.
    public func passed(_ index: Int) -> UInt32 { stdin &+ 4 &+ UInt32(truncatingIfNeeded: index) }
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

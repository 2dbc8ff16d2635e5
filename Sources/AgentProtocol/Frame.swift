/// The version of the wire. The first exchange carries it; sides of different versions part with a clear error.
public let wireVersion: UInt16 = 10

/// The vsock ports of the two sides.
public enum AgentPort {
    /// The agent connects to the host here, once, when it is ready: the control stream.
    public static let control: UInt32 = 1024
    /// The agent listens here; the host connects once for each stdio channel.
    public static let streams: UInt32 = 1025
}

/// One message of the control stream: length (UInt32), request (UInt32), kind (UInt8), payload; little-endian.
/// `length` counts what follows it.
public struct Frame: Equatable, Sendable {
    /// Which request this is or answers; 0 is no request (an event).
    public var request: UInt32
    public var kind: UInt8
    public var payload: [UInt8]

    static let headerSize = 9

    public init(request: UInt32, kind: UInt8, payload: [UInt8]) {
        self.request = request
        self.kind = kind
        self.payload = payload
    }

    public var encoded: [UInt8] {
        var writer = WireWriter()
        writer.put(UInt32(truncatingIfNeeded: payload.count + 5))
        writer.put(request)
        writer.put(kind)
        return writer.bytes + payload
    }
}

/// Collects the bytes of a control stream into frames. It holds at most one frame and one read's worth of bytes.
public struct FrameDecoder {
    private var buffer: [UInt8] = []
    private var start = 0

    public init() {}

    public mutating func append(_ bytes: some Sequence<UInt8>) { buffer.append(contentsOf: bytes) }

    /// The next whole frame, or nil when more bytes are needed. After an error the stream can't be trusted any more.
    public mutating func next() throws(WireError) -> Frame? {
        var reader = WireReader(buffer[start...])
        guard buffer.count - start >= 4 else { return nil }
        let length = Int(try reader.integer(UInt32.self))
        guard length >= 5 else { throw .truncated }
        guard length - 5 <= WireLimit.frame else {
            throw .tooLong(field: "frame", length: length, limit: WireLimit.frame)
        }
        guard buffer.count - start >= 4 + length else { return nil }
        let request = try reader.integer(UInt32.self)
        let kind = try reader.integer(UInt8.self)
        let payload = Array(buffer[(start + Frame.headerSize)..<(start + 4 + length)])
        start += 4 + length
        if start == buffer.count || start > 65536 {
            buffer.removeFirst(start)
            start = 0
        }
        return Frame(request: request, kind: kind, payload: payload)
    }
}

/// The first bytes of a stdio stream, host to guest: which channel it is.
public struct StreamHeader: Equatable, Sendable {
    public static let size = 8
    private static let magic: UInt32 = 0x5356_4b31

    public var stream: UInt32

    public init(stream: UInt32) { self.stream = stream }

    public var encoded: [UInt8] {
        var writer = WireWriter()
        writer.put(Self.magic)
        writer.put(stream)
        return writer.bytes
    }

    public init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(bytes[...])
        guard try reader.integer(UInt32.self) == Self.magic else { throw .badValue(field: "magic") }
        stream = try reader.integer()
        try reader.finish()
    }
}

/// What a packet is for (virtio 1.2 §5.10.6).
enum VsockOperation: UInt16 {
    case request = 1
    case response = 2
    case reset = 3
    case shutdown = 4
    case readWrite = 5
    case creditUpdate = 6
    case creditRequest = 7
}

/// What a side of a connection will not do any more (the `flags` of a SHUTDOWN packet).
struct ShutdownFlags: OptionSet {
    let rawValue: UInt32

    static let receive = ShutdownFlags(rawValue: 1)
    static let send = ShutdownFlags(rawValue: 2)
    static let both: ShutdownFlags = [.receive, .send]
}

/// `struct virtio_vsock_hdr` (virtio 1.2 §5.10.6): the first 44 bytes of every packet, little endian.
struct VsockHeader: Equatable {
    static let byteCount = 44
    /// VIRTIO_VSOCK_TYPE_STREAM.
    static let stream: UInt16 = 1
    /// The well-known address of the host (§5.10.4).
    static let hostCID: UInt64 = 2

    var sourceCID: UInt64 = 0
    var destinationCID: UInt64 = 0
    var sourcePort: UInt32 = 0
    var destinationPort: UInt32 = 0
    /// Bytes of payload behind the header.
    var length: UInt32 = 0
    var type: UInt16 = VsockHeader.stream
    /// Any number can come from a guest; see `VsockOperation`.
    var operation: UInt16 = 0
    var flags: UInt32 = 0
    /// The sender's receive buffer, in bytes.
    var bufferSize: UInt32 = 0
    /// How many bytes the sender has taken out of it, free-running.
    var forwardCount: UInt32 = 0

    init() {}

    /// - Parameter bytes: at least 44; nil when there are fewer.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.byteCount else { return nil }
        func number<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
            var value: T = 0
            for index in 0..<(T.bitWidth / 8) { value |= T(truncatingIfNeeded: bytes[offset + index]) << (8 * index) }
            return value
        }
        sourceCID = number(0, UInt64.self)
        destinationCID = number(8, UInt64.self)
        sourcePort = number(16, UInt32.self)
        destinationPort = number(20, UInt32.self)
        length = number(24, UInt32.self)
        type = number(28, UInt16.self)
        operation = number(30, UInt16.self)
        flags = number(32, UInt32.self)
        bufferSize = number(36, UInt32.self)
        forwardCount = number(40, UInt32.self)
    }

    /// Writes the 44 bytes over the start of `bytes`, which has room for them.
    func encode(into bytes: inout [UInt8]) {
        func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
            for index in 0..<(T.bitWidth / 8) {
                bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index))
            }
        }
        put(sourceCID, 0)
        put(destinationCID, 8)
        put(sourcePort, 16)
        put(destinationPort, 20)
        put(length, 24)
        put(type, 28)
        put(operation, 30)
        put(flags, 32)
        put(bufferSize, 36)
        put(forwardCount, 40)
    }

    /// The RST that answers this packet, whatever it says.
    func reset(guestCID: UInt64) -> VsockHeader {
        var answer = VsockHeader()
        answer.sourceCID = destinationCID
        answer.destinationCID = guestCID
        answer.sourcePort = destinationPort
        answer.destinationPort = sourcePort
        answer.type = type
        answer.operation = VsockOperation.reset.rawValue
        return answer
    }
}

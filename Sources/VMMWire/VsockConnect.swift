/// What a client of `vsock.sock` says first: to which port of the guest it wants to be connected.
///
/// Eight bytes, little endian: the magic "KVS1", the port. The answer is a `VsockConnectReply`; then the bytes flow.
public struct VsockConnectRequest: Equatable, Sendable {
    public static let byteCount = 8
    private static let magic: [UInt8] = [0x4B, 0x56, 0x53, 0x31]

    public var port: UInt32

    public init(port: UInt32) { self.port = port }

    /// nil when the bytes are anything else.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes.starts(with: Self.magic) else { return nil }
        port = UInt32(littleEndianBytes: bytes[4...])
    }

    public var bytes: [UInt8] { Self.magic + port.littleEndianBytes }
}

/// The answer: four bytes, little endian, 0 or an error number.
///
/// ECONNREFUSED: the guest refused. ETIMEDOUT: it did not answer. ECONNRESET: it was reset meanwhile. EHOSTUNREACH: its
/// driver can't be talked to any more. EAGAIN: too many connections.
public struct VsockConnectReply: Equatable, Sendable {
    public static let byteCount = 4
    public static let connected = VsockConnectReply(errno: 0)

    public var errno: Int32

    public init(errno: Int32) { self.errno = errno }

    /// nil when it is not four bytes, or no error number.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        let value = UInt32(littleEndianBytes: bytes[...])
        guard value < 4096 else { return nil }
        errno = Int32(value)
    }

    public var bytes: [UInt8] { UInt32(bitPattern: errno).littleEndianBytes }
}

/// The names in the directory that `kvm-vmm vsock` is given.
public enum VsockSocketName {
    /// Where the host connects to, to reach a port of the guest.
    public static let toGuest = "vsock.sock"

    /// Where the host listens for the guest's connections to the host's `port`.
    public static func fromGuest(port: UInt32) -> String { "vsock-\(port).sock" }
}

extension UInt32 {
    fileprivate init(littleEndianBytes bytes: ArraySlice<UInt8>) {
        self = bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    fileprivate var littleEndianBytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }
}

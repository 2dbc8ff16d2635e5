/// The requests of a vhost-user front end that this back end knows ("Front-end message types").
enum Request: UInt32 {
    case getFeatures = 1
    case setFeatures = 2
    case setOwner = 3
    case resetOwner = 4
    case setMemoryTable = 5
    case setVringSize = 8
    case setVringAddress = 9
    case setVringBase = 10
    case getVringBase = 11
    case setVringKick = 12
    case setVringCall = 13
    case setVringError = 14
    case getProtocolFeatures = 15
    case setProtocolFeatures = 16
    case getQueueCount = 17
    case setVringEnable = 18
    case getConfiguration = 24
    case setConfiguration = 25
    case resetDevice = 34

    /// Descriptors that may come with it.
    var mostDescriptors: Int {
        switch self {
        case .setMemoryTable: MemoryTable.mostRegions
        case .setVringKick, .setVringCall, .setVringError: 1
        default: 0
        }
    }
}

/// `VHOST_USER_PROTOCOL_F_…` bits.
struct ProtocolFeatures: OptionSet {
    let rawValue: UInt64

    static let multiQueue = ProtocolFeatures(rawValue: 1 << 0)
    static let replyAck = ProtocolFeatures(rawValue: 1 << 3)
    static let configuration = ProtocolFeatures(rawValue: 1 << 9)
    static let resetDevice = ProtocolFeatures(rawValue: 1 << 13)

    /// Not STATUS: QEMU writes status 0 when it stops a ring for a pause, which is then not to be told from a reset.
    static let offered: ProtocolFeatures = [.multiQueue, .replyAck, .configuration, .resetDevice]
    /// VHOST_USER_F_PROTOCOL_FEATURES, among the virtio features: the bits above can be negotiated.
    static let featureBit: UInt64 = 1 << 30
}

/// The 12 bytes in front of each message ("Header").
struct MessageHeader: Equatable {
    static let byteCount = 12
    /// Longer payloads are of no message that this back end knows.
    static let mostPayload: UInt32 = 4096

    private static let version: UInt32 = 1
    private static let versionMask: UInt32 = 3
    private static let reply: UInt32 = 4
    private static let needReply: UInt32 = 8

    var request: UInt32
    var flags: UInt32
    /// Bytes of payload.
    var size: UInt32

    var wantsReply: Bool { flags & Self.needReply != 0 }

    init(_ bytes: [UInt8]) throws(VhostUserError) {
        var reader = PayloadReader(bytes)
        request = try reader.number()
        flags = try reader.number()
        size = try reader.number()
        guard flags & Self.versionMask == Self.version, flags & Self.reply == 0 else { throw .badFlags(flags) }
        guard size <= Self.mostPayload else { throw .badSize(request: request, size: size) }
    }

    /// Of a reply.
    init(replyTo request: UInt32, size: Int) {
        self.request = request
        flags = Self.version | Self.reply
        self.size = UInt32(clamping: size)
    }

    var bytes: [UInt8] {
        var writer = PayloadWriter()
        writer.append(request)
        writer.append(flags)
        writer.append(size)
        return writer.bytes
    }
}

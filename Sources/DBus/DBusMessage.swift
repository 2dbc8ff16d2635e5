/// A message of D-Bus (D-Bus specification, "Message Format"), little-endian as all of one machine's are.
public struct DBusMessage: Equatable, Sendable {
    public enum Kind: UInt8, Sendable {
        case call = 1
        case answer = 2
        case error = 3
        case signal = 4
    }

    /// Bytes. What systemd says to us is some hundreds; D-Bus would allow 128 MiB.
    public static let longest = 1 << 20

    public var kind: Kind
    public var serial: UInt32 = 0
    /// Of the call that this answers.
    public var answered: UInt32?
    public var path: String?
    public var interface: String?
    public var member: String?
    public var errorName: String?
    public var destination: String?
    /// Who sent it, as the bus says; nil without a bus.
    public var sender: String?
    public private(set) var signature = ""
    private var body: [UInt8] = []

    public init(_ kind: Kind, _ arguments: [DBusValue] = []) {
        self.kind = kind
        signature = arguments.map(\.signature).joined()
        var writer = DBusWriter()
        for argument in arguments { writer.write(argument) }
        body = writer.bytes
    }

    /// What it carries.
    public func arguments() throws(DBusError) -> [DBusValue] {
        var reader = DBusReader(body)
        let values = try reader.values(signature)
        guard reader.offset == body.count else { throw .malformed("bytes behind its arguments") }
        return values
    }

    // MARK: The wire

    private enum Field {
        static let path: UInt8 = 1
        static let interface: UInt8 = 2
        static let member: UInt8 = 3
        static let errorName: UInt8 = 4
        static let answered: UInt8 = 5
        static let destination: UInt8 = 6
        static let sender: UInt8 = 7
        static let signature: UInt8 = 8
    }

    static let fixedLength = 16
    private static let littleEndian = UInt8(ascii: "l")
    private static let version: UInt8 = 1

    public var bytes: [UInt8] {
        var writer = DBusWriter()
        for byte in [Self.littleEndian, kind.rawValue, 0, Self.version] { writer.write(.byte(byte)) }
        writer.number(UInt32(truncatingIfNeeded: body.count))
        writer.number(serial)
        var fields: [DBusValue] = []
        func put(_ code: UInt8, _ value: DBusValue?) {
            if let value { fields.append(.structure([.byte(code), .variant(value)])) }
        }
        put(Field.path, path.map(DBusValue.path))
        put(Field.interface, interface.map(DBusValue.string))
        put(Field.member, member.map(DBusValue.string))
        put(Field.errorName, errorName.map(DBusValue.string))
        put(Field.answered, answered.map(DBusValue.uint32))
        put(Field.destination, destination.map(DBusValue.string))
        put(Field.sender, sender.map(DBusValue.string))
        put(Field.signature, signature.isEmpty ? nil : .signature(signature))
        writer.write(.array("(yv)", fields))
        writer.align(8)
        writer.append(body)
        return writer.bytes
    }

    /// How long the message is that begins with these bytes; nil: too few to say.
    static func length(_ bytes: [UInt8]) throws(DBusError) -> Int? {
        guard let first = bytes.first else { return nil }
        guard first == littleEndian else { throw .malformed("byte order \(first)") }
        guard bytes.count >= fixedLength else { return nil }
        guard bytes[3] == version else { throw .malformed("version \(bytes[3])") }
        var reader = DBusReader(bytes, from: 4)
        let body = Int(try reader.number(UInt32.self))
        _ = try reader.number(UInt32.self)
        let fields = Int(try reader.number(UInt32.self))
        guard body <= longest, fields <= longest else { throw .malformed("\(max(body, fields)) bytes") }
        let length = (fixedLength + fields + 7) / 8 * 8 + body
        guard length <= longest else { throw .malformed("\(length) bytes") }
        return length
    }

    /// The message that is these bytes; nil: of a kind that may be ignored.
    static func decode(_ bytes: [UInt8]) throws(DBusError) -> DBusMessage? {
        guard let length = try length(bytes), length == bytes.count else { throw .malformed("its length") }
        guard let kind = Kind(rawValue: bytes[1]) else { return nil }
        var message = DBusMessage(kind)
        var reader = DBusReader(bytes, from: 4)
        let bodyLength = Int(try reader.number(UInt32.self))
        message.serial = try reader.number(UInt32.self)
        guard case .array(_, let fields)? = try reader.values("a(yv)").first else { throw .malformed("its header") }
        for case .structure(let field) in fields { try message.take(field) }
        message.body = Array(bytes.suffix(bodyLength))
        return message
    }

    private mutating func take(_ field: [DBusValue]) throws(DBusError) {
        guard field.count == 2, case .byte(let code) = field[0], case .variant(let value) = field[1] else {
            throw .malformed("a field of its header")
        }
        switch (code, value) {
        case (Field.path, .path(let text)): path = text
        case (Field.interface, .string(let text)): interface = text
        case (Field.member, .string(let text)): member = text
        case (Field.errorName, .string(let text)): errorName = text
        case (Field.answered, .uint32(let number)): answered = number
        case (Field.destination, .string(let text)): destination = text
        case (Field.sender, .string(let text)): sender = text
        case (Field.signature, .signature(let text)): signature = text
        case (Field.path...Field.signature, _): throw .malformed("a field of its header")
        // Fields of later versions are to be ignored.
        default: break
        }
    }
}

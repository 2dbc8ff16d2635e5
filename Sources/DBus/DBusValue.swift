/// A value of D-Bus, of the types that systemd's manager is spoken to in (D-Bus specification, "Type System").
public indirect enum DBusValue: Equatable, Sendable {
    case byte(UInt8)
    case boolean(Bool)
    case uint32(UInt32)
    case uint64(UInt64)
    case string(String)
    case path(String)
    case signature(String)
    /// With the signature of its elements, which an empty one has too.
    case array(String, [DBusValue])
    case structure([DBusValue])
    case variant(DBusValue)

    /// The type, in D-Bus's letters.
    public var signature: String {
        switch self {
        case .byte: "y"
        case .boolean: "b"
        case .uint32: "u"
        case .uint64: "t"
        case .string: "s"
        case .path: "o"
        case .signature: "g"
        case .array(let element, _): "a" + element
        case .structure(let members): "(" + members.map(\.signature).joined() + ")"
        case .variant: "v"
        }
    }
}

/// What went wrong in a conversation over D-Bus.
public enum DBusError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The other end answered with an error of this name.
    case refused(name: String, message: String)
    case authentication(String)
    case malformed(String)
    case timedOut
    case closed
    case system(String)

    public var description: String {
        switch self {
        case .refused(let name, let message): message.isEmpty ? name : message
        case .authentication(let answer): "it does not let this user in: \(answer)"
        case .malformed(let what): "its answer is no D-Bus message: \(what)"
        case .timedOut: "no answer in time"
        case .closed: "it closed the connection"
        case .system(let words): words
        }
    }
}

/// Letters of signatures.
enum DBusType {
    static let byte = UInt8(ascii: "y")
    static let boolean = UInt8(ascii: "b")
    static let uint32 = UInt8(ascii: "u")
    static let uint64 = UInt8(ascii: "t")
    static let string = UInt8(ascii: "s")
    static let path = UInt8(ascii: "o")
    static let signature = UInt8(ascii: "g")
    static let variant = UInt8(ascii: "v")
    static let array = UInt8(ascii: "a")
    static let open = UInt8(ascii: "(")
    static let close = UInt8(ascii: ")")

    /// What a value's first byte is aligned to.
    static func alignment(_ letter: UInt8) -> Int {
        switch letter {
        case byte, signature, variant: 1
        case uint64, open: 8
        default: 4
        }
    }
}

/// Why bytes are not a message. Bytes from the peer never trap: they end here.
public enum WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The message ends before its fields do.
    case truncated
    /// There are bytes behind the last field.
    case trailingBytes(Int)
    /// A length or a count is over its limit.
    case tooLong(field: String, length: Int, limit: Int)
    case unknownKind(UInt8)
    case badValue(field: String)
    case badText(field: String)

    public var description: String {
        switch self {
        case .truncated: "the message is cut short"
        case .trailingBytes(let count): "\(count) bytes too many"
        case .tooLong(let field, let length, let limit): "\(field) has \(length) bytes, at most \(limit) are allowed"
        case .unknownKind(let kind): "unknown kind of message \(kind)"
        case .badValue(let field): "\(field) has a value that is not allowed"
        case .badText(let field): "\(field) is not UTF-8 or contains NUL"
        }
    }
}

/// The limits of the wire. Both sides hold to them when they write and insist on them when they read.
public enum WireLimit {
    /// Bytes of one frame's payload.
    public static let frame = 8 << 20
    /// Bytes of a plan: config.json has as many at most.
    public static let plan = 4 << 20
    /// Bytes of an argument or a variable of the environment: the kernel takes no longer one (MAX_ARG_STRLEN).
    public static let argument = 128 << 10
    /// Arguments, variables, groups: more do not fit into what the kernel takes at exec.
    public static let arguments = 1 << 18
    /// Bytes of a path or an error's text.
    public static let text = 4096
    /// Bytes of a device filter: 4096 instructions.
    public static let deviceFilter = 32 << 10
    /// Bytes of a file of a cgroup.
    public static let contents = 64 << 10
    /// Bytes of a file's name.
    public static let name = 255
    /// Bytes of a container's id.
    public static let id = 1024
    /// Bytes of the seed for the guest's random numbers.
    public static let seed = 256
    /// Entries of a list.
    public static let entries = 4096
}

/// Appends fields, little-endian, lengths before bytes.
public struct WireWriter {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func put<T: FixedWidthInteger>(_ value: T) {
        var rest = value
        for _ in 0..<(T.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    public mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

    public mutating func put(_ value: [UInt8]) {
        put(UInt32(truncatingIfNeeded: value.count))
        bytes += value
    }

    public mutating func put(_ value: String) { put(Array(value.utf8)) }

    public mutating func put(_ values: [String]) {
        put(UInt32(truncatingIfNeeded: values.count))
        for value in values { put(value) }
    }

    /// With a zero behind it that the length does not count: C takes it where it lies.
    public mutating func put(terminated value: String) {
        put(value)
        bytes.append(0)
    }

    /// A flag, then the value if there is one.
    public mutating func put<T: FixedWidthInteger>(_ value: T?) {
        put(value != nil)
        if let value { put(value) }
    }
}

/// Takes fields off a payload, in order.
public struct WireReader {
    private let bytes: ArraySlice<UInt8>
    private var at: Int

    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        at = bytes.startIndex
    }

    private mutating func take(_ count: Int) throws(WireError) -> ArraySlice<UInt8> {
        guard count <= bytes.endIndex - at else { throw .truncated }
        defer { at += count }
        return bytes[at..<at + count]
    }

    public mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(WireError) -> T {
        var value: T = 0
        for byte in try take(T.bitWidth / 8).reversed() { value = (value << 8) | T(truncatingIfNeeded: byte) }
        return value
    }

    public mutating func bool(_ field: String) throws(WireError) -> Bool {
        switch try integer(UInt8.self) {
        case 0: false
        case 1: true
        default: throw .badValue(field: field)
        }
    }

    public mutating func bytes(_ field: String, limit: Int) throws(WireError) -> [UInt8] {
        let length = Int(try integer(UInt32.self))
        guard length <= limit else { throw .tooLong(field: field, length: length, limit: limit) }
        return Array(try take(length))
    }

    public mutating func text(_ field: String, limit: Int = WireLimit.text) throws(WireError) -> String {
        let raw = try bytes(field, limit: limit)
        guard !raw.contains(0), let text = String(validating: raw, as: UTF8.self) else { throw .badText(field: field) }
        return text
    }

    /// Where in the payload the bytes of `put([UInt8])` are.
    public mutating func span(_ field: String, limit: Int) throws(WireError) -> (offset: Int, count: Int) {
        let length = Int(try integer(UInt32.self))
        guard length <= limit else { throw .tooLong(field: field, length: length, limit: limit) }
        let offset = at - bytes.startIndex
        _ = try take(length)
        return (offset, length)
    }

    public mutating func texts(_ field: String) throws(WireError) -> [String] {
        var texts: [String] = []
        for _ in 0..<(try count(field)) { texts.append(try text(field)) }
        return texts
    }

    /// Where in the payload a text of `put(terminated:)` begins. There is no other zero in it than the one behind it.
    public mutating func terminated(_ field: String, limit: Int = WireLimit.text) throws(WireError) -> Int {
        let length = Int(try integer(UInt32.self))
        guard length <= limit else { throw .tooLong(field: field, length: length, limit: limit) }
        let offset = at - bytes.startIndex
        guard try take(length + 1).firstIndex(of: 0) == bytes.startIndex + offset + length else {
            throw .badText(field: field)
        }
        return offset
    }

    public mutating func optional<T: FixedWidthInteger>(_ field: String, _ type: T.Type = T.self) throws(WireError)
        -> T?
    {
        try bool(field) ? try integer(T.self) : nil
    }

    public mutating func count(_ field: String, limit: Int = WireLimit.entries) throws(WireError) -> Int {
        let count = Int(try integer(UInt32.self))
        guard count <= limit else { throw .tooLong(field: field, length: count, limit: limit) }
        return count
    }

    public func finish() throws(WireError) {
        if at != bytes.endIndex { throw .trailingBytes(bytes.endIndex - at) }
    }
}

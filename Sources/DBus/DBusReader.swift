/// Reads values from the wire. Whatever the bytes are, it ends with values or with an error: every length is held against
/// what is there, and types are nested to a limit.
struct DBusReader {
    private static let deepest = 16

    private let bytes: [UInt8]
    private(set) var offset = 0
    private let end: Int

    init(_ bytes: [UInt8], from offset: Int = 0, to end: Int? = nil) {
        self.bytes = bytes
        self.offset = offset
        self.end = min(end ?? bytes.count, bytes.count)
    }

    /// Values one after the other, of the types of `signature`.
    mutating func values(_ signature: String) throws(DBusError) -> [DBusValue] {
        var types = Array(signature.utf8)[...]
        var values: [DBusValue] = []
        while !types.isEmpty { values.append(try value(&types, 0)) }
        return values
    }

    /// One value, whose type it takes off `types`.
    private mutating func value(_ types: inout ArraySlice<UInt8>, _ depth: Int) throws(DBusError) -> DBusValue {
        guard depth < Self.deepest else { throw .malformed("types nested too deeply") }
        guard let letter = types.popFirst() else { throw .malformed("a type is missing") }
        try align(DBusType.alignment(letter))
        switch letter {
        case DBusType.byte: return .byte(try number(UInt8.self))
        case DBusType.boolean: return .boolean(try boolean())
        case DBusType.uint32: return .uint32(try number(UInt32.self))
        case DBusType.uint64: return .uint64(try number(UInt64.self))
        case DBusType.string: return .string(try text(Int(try number(UInt32.self))))
        case DBusType.path: return .path(try text(Int(try number(UInt32.self))))
        case DBusType.signature: return .signature(try text(Int(try number(UInt8.self))))
        case DBusType.variant: return .variant(try variant(depth))
        case DBusType.array: return try array(&types, depth)
        case DBusType.open: return .structure(try structure(&types, depth))
        default: throw .malformed("type \(letter)")
        }
    }

    private mutating func boolean() throws(DBusError) -> Bool {
        let value = try number(UInt32.self)
        guard value < 2 else { throw .malformed("truth value \(value)") }
        return value == 1
    }

    private mutating func variant(_ depth: Int) throws(DBusError) -> DBusValue {
        var types = Array(try text(Int(try number(UInt8.self))).utf8)[...]
        let value = try value(&types, depth + 1)
        guard types.isEmpty else { throw .malformed("a variant of several values") }
        return value
    }

    private mutating func array(_ types: inout ArraySlice<UInt8>, _ depth: Int) throws(DBusError) -> DBusValue {
        let length = Int(try number(UInt32.self))
        var rest = types
        try Self.skip(&rest, depth + 1)
        let element = types[types.startIndex..<rest.startIndex]
        types = rest
        try align(DBusType.alignment(element.first ?? DBusType.byte))
        guard length <= end - offset else { throw .malformed("an array of \(length) bytes") }
        let last = offset + length
        var values: [DBusValue] = []
        while offset < last {
            var types = element
            values.append(try value(&types, depth + 1))
        }
        guard offset == last else { throw .malformed("an array's last element") }
        return .array(String(decoding: element, as: UTF8.self), values)
    }

    private mutating func structure(
        _ types: inout ArraySlice<UInt8>, _ depth: Int
    ) throws(DBusError) -> [DBusValue] {
        var members: [DBusValue] = []
        while let next = types.first, next != DBusType.close { members.append(try value(&types, depth + 1)) }
        // Without members, an array of them would take no bytes and have no end.
        guard types.popFirst() == DBusType.close, !members.isEmpty else { throw .malformed("a structure's type") }
        return members
    }

    /// Takes one whole type off `types`.
    private static func skip(_ types: inout ArraySlice<UInt8>, _ depth: Int) throws(DBusError) {
        guard depth < deepest else { throw .malformed("types nested too deeply") }
        guard let letter = types.popFirst() else { throw .malformed("a type is missing") }
        if letter == DBusType.array { return try skip(&types, depth + 1) }
        guard letter == DBusType.open else { return }
        guard types.first != DBusType.close else { throw .malformed("a structure's type") }
        while let next = types.first, next != DBusType.close { try skip(&types, depth + 1) }
        guard types.popFirst() == DBusType.close else { throw .malformed("a structure's type") }
    }

    // MARK: Bytes

    mutating func align(_ size: Int) throws(DBusError) {
        let padding = (size - offset % size) % size
        guard padding <= end - offset else { throw .malformed("it ends early") }
        offset += padding
    }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(DBusError) -> Number {
        let size = Number.bitWidth / 8
        try align(size)
        guard size <= end - offset else { throw .malformed("it ends early") }
        var value: Number = 0
        for index in (0..<size).reversed() { value = value << 8 | Number(truncatingIfNeeded: bytes[offset + index]) }
        offset += size
        return value
    }

    /// `count` bytes and the NUL behind them.
    private mutating func text(_ count: Int) throws(DBusError) -> String {
        guard count < end - offset else { throw .malformed("a text of \(count) bytes") }
        let part = bytes[offset..<offset + count]
        guard bytes[offset + count] == 0, !part.contains(0), let text = String(validating: part, as: UTF8.self) else {
            throw .malformed("a text")
        }
        offset += count + 1
        return text
    }
}

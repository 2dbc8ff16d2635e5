/// Lays values out as D-Bus has them on the wire, little-endian.
struct DBusWriter {
    private(set) var bytes: [UInt8] = []

    mutating func align(_ size: Int) {
        while bytes.count % size != 0 { bytes.append(0) }
    }

    mutating func write(_ value: DBusValue) {
        align(DBusType.alignment(value.signature.utf8.first ?? DBusType.byte))
        switch value {
        case .byte(let byte): bytes.append(byte)
        case .boolean(let truth): number(UInt32(truth ? 1 : 0))
        case .uint32(let value): number(value)
        case .uint64(let value): number(value)
        case .string(let text), .path(let text):
            number(UInt32(truncatingIfNeeded: text.utf8.count))
            bytes += Array(text.utf8) + [0]
        case .signature(let text):
            bytes.append(UInt8(truncatingIfNeeded: text.utf8.count))
            bytes += Array(text.utf8) + [0]
        case .array(let element, let values): array(element, values)
        case .structure(let members): for member in members { write(member) }
        case .variant(let value):
            write(.signature(value.signature))
            write(value)
        }
    }

    mutating func number<Number: FixedWidthInteger>(_ value: Number) {
        var rest = value
        for _ in 0..<Number.bitWidth / 8 {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    mutating func append(_ more: [UInt8]) { bytes += more }

    /// The padding before the first element doesn't count in the length, and is there without elements too.
    private mutating func array(_ element: String, _ values: [DBusValue]) {
        let at = bytes.count
        number(UInt32(0))
        align(DBusType.alignment(element.utf8.first ?? DBusType.byte))
        let begin = bytes.count
        for value in values { write(value) }
        var length = DBusWriter()
        length.number(UInt32(truncatingIfNeeded: bytes.count - begin))
        bytes.replaceSubrange(at..<at + 4, with: length.bytes)
    }
}

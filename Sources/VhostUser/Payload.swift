/// Reads numbers off the front of a message; the sender is on this machine, so they are in its byte order.
struct PayloadReader {
    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var left: Int { bytes.count - at }

    mutating func number<T: FixedWidthInteger>(_: T.Type = T.self) throws(VhostUserError) -> T {
        let size = T.bitWidth / 8
        guard left >= size else { throw .truncated }
        var value: T = 0
        for index in 0..<size { value |= T(truncatingIfNeeded: bytes[at + index]) << (8 * index) }
        at += size
        return value
    }

    mutating func rest() -> [UInt8] {
        defer { at = bytes.count }
        return Array(bytes[at...])
    }

    func end() throws(VhostUserError) {
        if left != 0 { throw .truncated }
    }
}

struct PayloadWriter {
    var bytes: [UInt8] = []

    mutating func append<T: FixedWidthInteger>(_ value: T) {
        for index in 0..<(T.bitWidth / 8) { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
}

/// "A vring state description".
struct VringState {
    var index: UInt32
    var number: UInt32

    init(index: UInt32, number: UInt32) {
        self.index = index
        self.number = number
    }

    init(_ bytes: [UInt8]) throws(VhostUserError) {
        var reader = PayloadReader(bytes)
        index = try reader.number()
        number = try reader.number()
        try reader.end()
    }

    var bytes: [UInt8] {
        var writer = PayloadWriter()
        writer.append(index)
        writer.append(number)
        return writer.bytes
    }
}

/// "A vring address description". The addresses are user addresses.
struct VringAddress {
    var index: UInt32
    var descriptorTable: UInt64
    var usedRing: UInt64
    var availableRing: UInt64

    init(_ bytes: [UInt8]) throws(VhostUserError) {
        var reader = PayloadReader(bytes)
        index = try reader.number()
        // Bit 0 asks for a log of writes (live migration), which was not offered.
        let flags: UInt32 = try reader.number()
        if flags != 0 { throw .badFlags(flags) }
        descriptorTable = try reader.number()
        usedRing = try reader.number()
        availableRing = try reader.number()
        _ = try reader.number(UInt64.self)
        try reader.end()
    }
}

/// "Virtio device config space".
struct ConfigurationSpace {
    static let mostBytes: UInt32 = 256

    var offset: UInt32
    var size: UInt32
    var flags: UInt32
    var contents: [UInt8]

    init(_ bytes: [UInt8]) throws(VhostUserError) {
        var reader = PayloadReader(bytes)
        offset = try reader.number()
        size = try reader.number()
        flags = try reader.number()
        contents = reader.rest()
        guard size <= Self.mostBytes, contents.count == Int(size) else { throw .truncated }
    }

    var bytes: [UInt8] {
        var writer = PayloadWriter()
        writer.append(offset)
        writer.append(size)
        writer.append(flags)
        return writer.bytes + contents
    }
}

extension JSONValue {
    /// The value that a text is.
    ///
    /// Strict RFC 8259: UTF-8 without a byte order mark, no comments, no trailing commas, nothing after the value.
    /// Integers beyond 64 bits become a `Double`; a number beyond a `Double`, and half a surrogate pair, are errors.
    public static func parse(_ bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        guard bytes.count <= limits.bytes else {
            throw JSONError(
                line: 1, column: 1, message: "the text has \(bytes.count) bytes, allowed are \(limits.bytes)")
        }
        var parser = JSONParser(bytes: bytes, limits: limits)
        return try parser.document()
    }

    /// The value that a text is; see `parse(_: [UInt8], limits:)`.
    public static func parse(_ text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) -> JSONValue {
        try parse(Array(text.utf8), limits: limits)
    }
}

/// Recursive descent over bytes. Strings and numbers have files of their own.
struct JSONParser {
    let bytes: [UInt8]
    let limits: JSONLimits
    /// The next byte to look at.
    var index = 0
    private var values = 0

    init(bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    mutating func document() throws(JSONError) -> JSONValue {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            throw error("the text begins with a byte order mark")
        }
        skipSpace()
        let value = try value(depth: 0)
        skipSpace()
        guard index == bytes.count else {
            throw unexpected(after: "the end of the value")
        }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard index < bytes.count else { throw unexpected() }
        values += 1
        guard values <= limits.values else {
            throw error("more than \(limits.values) values")
        }
        switch bytes[index] {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "{"): return .object(try object(depth: try deeper(depth)))
        case UInt8(ascii: "["): return .array(try array(depth: try deeper(depth)))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: throw unexpected()
        }
    }

    private func deeper(_ depth: Int) throws(JSONError) -> Int {
        guard depth < limits.depth else {
            throw error("more than \(limits.depth) levels of arrays and objects")
        }
        return depth + 1
    }

    private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
        var elements: [JSONValue] = []
        index += 1
        skipSpace()
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            skipSpace()
            elements.append(try value(depth: depth))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "]")) { return elements }
            throw unexpected(after: "an element, where ',' or ']' must follow")
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
        var object = JSONObject()
        index += 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return object }
        while true {
            skipSpace()
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
                throw unexpected(after: "'{' or ',', where a key in quotes must follow")
            }
            let key = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else {
                throw unexpected(after: "a key, where ':' must follow")
            }
            skipSpace()
            object[key] = try value(depth: depth)
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            if take(UInt8(ascii: "}")) { return object }
            throw unexpected(after: "a member, where ',' or '}' must follow")
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for expected in text.description.utf8 {
            guard index < bytes.count, bytes[index] == expected else { throw unexpected() }
            index += 1
        }
        return value
    }

    private mutating func skipSpace() {
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\t"), UInt8(ascii: "\r"): index += 1
            default: return
            }
        }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        return true
    }
}

extension JSONParser {
    func error(_ message: String, at offset: Int? = nil) -> JSONError {
        JSONError(message, in: bytes, at: offset ?? index)
    }

    /// That the byte at `index` can't be, or that there is none.
    func unexpected(after context: String? = nil) -> JSONError {
        let place = context.map { " after \($0)" } ?? ""
        guard index < bytes.count else {
            return error("unexpected end of file\(place)")
        }
        return error("unexpected \(name(of: index))\(place)")
    }

    /// The character at an offset, as a person would call it.
    private func name(of offset: Int) -> String {
        let byte = bytes[offset]
        if (0x20..<0x7F).contains(byte) {
            return "character '\(Character(Unicode.Scalar(byte)))'"
        }
        return "byte 0x\(hexadecimal(byte))"
    }

    func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return byte < 16 ? "0\(digits)" : digits
    }
}

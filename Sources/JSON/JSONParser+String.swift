extension JSONParser {
    /// The string whose opening quote is at `index`.
    mutating func string() throws(JSONError) -> String {
        let start = index + 1
        var end = start
        while end < bytes.count {
            let byte = bytes[end]
            if byte == UInt8(ascii: "\"") {
                let text = try text(bytes[start..<end], from: start)
                index = end + 1
                return text
            }
            if byte == UInt8(ascii: "\\") {
                return try escapedString(from: start, plainUpTo: end)
            }
            guard byte >= 0x20 else {
                throw controlCharacter(at: end)
            }
            end += 1
        }
        throw error("unexpected end of file in a string", at: bytes.count)
    }

    /// The rest of a string with escapes, which has to be put together.
    private mutating func escapedString(from start: Int, plainUpTo end: Int) throws(JSONError) -> String {
        var content = Array(bytes[start..<end])
        index = end
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "\""):
                let text = try text(content[...], from: start)
                index += 1
                return text
            case UInt8(ascii: "\\"):
                try escape(into: &content)
            case ..<0x20:
                throw controlCharacter(at: index)
            default:
                content.append(byte)
                index += 1
            }
        }
        throw error("unexpected end of file in a string")
    }

    private mutating func escape(into content: inout [UInt8]) throws(JSONError) {
        index += 1
        guard index < bytes.count else {
            throw error("unexpected end of file in a string")
        }
        let plain: UInt8
        switch bytes[index] {
        case UInt8(ascii: "u"):
            content.append(contentsOf: UTF8.encode(try escapedScalar()).map(Array.init) ?? [])
            return
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): plain = bytes[index]
        case UInt8(ascii: "b"): plain = 0x08
        case UInt8(ascii: "f"): plain = 0x0C
        case UInt8(ascii: "n"): plain = 0x0A
        case UInt8(ascii: "r"): plain = 0x0D
        case UInt8(ascii: "t"): plain = 0x09
        default: throw unexpected(after: "'\\' in a string")
        }
        content.append(plain)
        index += 1
    }

    /// The scalar of `uXXXX`, or of the two that make a surrogate pair. `index` is at the u.
    private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
        let start = index - 1
        let first = try fourDigits()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, index + 1 < bytes.count,
            bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
        else {
            throw error("half a surrogate pair", at: start)
        }
        index += 1
        let second = try fourDigits()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else {
            throw error("half a surrogate pair", at: start)
        }
        return scalar
    }

    /// The four hexadecimal digits after the u at `index`.
    private mutating func fourDigits() throws(JSONError) -> UInt32 {
        index += 1
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard index < bytes.count else {
                throw error("unexpected end of file in a string")
            }
            let digit: UInt8
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = bytes[index] - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = bytes[index] - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = bytes[index] - UInt8(ascii: "A") + 10
            default: throw unexpected(after: "'\\u', where four hexadecimal digits must follow")
            }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    /// The bytes as a string, if they are UTF-8. `start` is where they come from, for the error.
    private func text(_ content: ArraySlice<UInt8>, from start: Int) throws(JSONError) -> String {
        if let text = String(validating: content, as: UTF8.self) { return text }
        throw error("a string is not UTF-8", at: start + validPrefix(from: start))
    }

    /// How many bytes of the text from `start` on are UTF-8. Escapes are ASCII, so the raw text serves as well.
    private func validPrefix(from start: Int) -> Int {
        var iterator = bytes[start...].makeIterator()
        var decoder = UTF8()
        var length = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            length += UTF8.width(scalar)
        }
        return length
    }

    private func controlCharacter(at offset: Int) -> JSONError {
        error("control character 0x\(hexadecimal(bytes[offset])) in a string (must be escaped)", at: offset)
    }
}

extension JSONParser {
    /// The number at `index`.
    mutating func number() throws(JSONError) -> JSONValue {
        let start = index
        let negative = bytes[index] == UInt8(ascii: "-")
        if negative { index += 1 }
        guard index < bytes.count, isDigit(bytes[index]) else {
            throw unexpected(after: "'-', where a digit must follow")
        }
        if bytes[index] == UInt8(ascii: "0"), index + 1 < bytes.count, isDigit(bytes[index + 1]) {
            throw error("a number with a leading zero", at: start)
        }
        let magnitude = digits()
        let fraction = try fraction()
        let exponent = try exponent()
        if let magnitude, !fraction, !exponent, let integer = integer(magnitude, negative: negative) {
            return integer
        }
        // The bytes are ASCII digits, signs, points and e's, so that neither step can fail but by size.
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        guard let double = Double(text), double.isFinite else {
            throw error("a number that is too large", at: start)
        }
        return .number(double)
    }

    /// Steps over digits; their value, or nil if it has more than 64 bits.
    private mutating func digits() -> UInt64? {
        var value: UInt64? = 0
        while index < bytes.count, isDigit(bytes[index]) {
            if let sofar = value {
                let (tens, tooLarge) = sofar.multipliedReportingOverflow(by: 10)
                let (sum, stillTooLarge) = tens.addingReportingOverflow(UInt64(bytes[index] - UInt8(ascii: "0")))
                value = tooLarge || stillTooLarge ? nil : sum
            }
            index += 1
        }
        return value
    }

    private func integer(_ magnitude: UInt64, negative: Bool) -> JSONValue? {
        guard negative else { return JSONValue(magnitude) }
        guard magnitude <= Int64.min.magnitude else { return nil }
        return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
    }

    private mutating func fraction() throws(JSONError) -> Bool {
        guard index < bytes.count, bytes[index] == UInt8(ascii: ".") else { return false }
        index += 1
        try someDigits(after: "'.'")
        return true
    }

    private mutating func exponent() throws(JSONError) -> Bool {
        guard index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") else { return false }
        index += 1
        if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
            index += 1
        }
        try someDigits(after: "'e'")
        return true
    }

    private mutating func someDigits(after context: String) throws(JSONError) {
        guard index < bytes.count, isDigit(bytes[index]) else {
            throw unexpected(after: "\(context), where a digit must follow")
        }
        _ = digits()
    }

    private func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }
}

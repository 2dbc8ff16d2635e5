/// A value on its way to become something typed, and its place for the error if it can't.
///
/// null and an absent member are the same thing here, as in Go: neither has a value.
public struct JSONCursor: Sendable {
    /// The value; nil if it is absent or null.
    public let value: JSONValue?
    /// Where it is, or would be.
    public let path: JSONPath

    /// A cursor on a document. `path` is what its own fields' paths begin with.
    public init(_ value: JSONValue, path: String = "") {
        self.init(value, at: .root(path))
    }

    init(_ value: JSONValue?, at path: JSONPath) {
        self.value = value == .null ? nil : value
        self.path = path
    }

    /// Whether there is no value.
    public var isAbsent: Bool { value == nil }

    /// An error at this place.
    public func error(_ message: String) -> JSONFieldError {
        JSONFieldError(path: path.description, message: message)
    }

    /// That something else was expected: "expected a string, found a number", or "is missing".
    public func mismatch(expected: String) -> JSONFieldError {
        if let value {
            return error("expected \(expected), found \(value.kind)")
        }
        // An element is never missing.
        if case .index = path { return error("expected \(expected), found null") }
        return error("is missing")
    }
}

// What must be there.
extension JSONCursor {
    public func string() throws(JSONFieldError) -> String {
        guard case .string(let text)? = value else { throw mismatch(expected: "a string") }
        return text
    }

    public func bool() throws(JSONFieldError) -> Bool {
        guard case .bool(let flag)? = value else { throw mismatch(expected: "a boolean") }
        return flag
    }

    /// An integer of the type that the caller wants, within a range if one is given. 1.0 is none, as in Go.
    public func int<T: FixedWidthInteger & Sendable>(
        _ type: T.Type = T.self, in range: ClosedRange<T>? = nil
    ) throws(JSONFieldError) -> T {
        let range = range ?? T.min...T.max
        let exact: T?
        switch value {
        case .integer(let integer)?: exact = T(exactly: integer)
        case .unsigned(let integer)?: exact = T(exactly: integer)
        case .number(let double)?: throw error("expected an integer, found \(double)")
        default: throw mismatch(expected: "an integer")
        }
        guard let exact, range.contains(exact) else {
            throw error("\(value?.text() ?? "") is out of range (\(range.lowerBound) to \(range.upperBound))")
        }
        return exact
    }

    public func uint32() throws(JSONFieldError) -> UInt32 { try int() }

    /// The members.
    public func object() throws(JSONFieldError) -> JSONFields {
        guard case .object(let object)? = value else { throw mismatch(expected: "an object") }
        return JSONFields(object: object, path: path)
    }

    /// The elements, each decoded.
    public func array<T>(
        of decode: (JSONCursor) throws(JSONFieldError) -> T
    ) throws(JSONFieldError) -> [T] {
        guard case .array(let elements)? = value else { throw mismatch(expected: "an array") }
        var result: [T] = []
        result.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            result.append(try decode(JSONCursor(element, at: .index(path, index))))
        }
        return result
    }
}

// What may be absent.
extension JSONCursor {
    /// The decoded value, or nil if it is absent.
    public func optional<T>(
        _ decode: (JSONCursor) throws(JSONFieldError) -> T
    ) throws(JSONFieldError) -> T? {
        isAbsent ? nil : try decode(self)
    }

    public func string(or fallback: String) throws(JSONFieldError) -> String {
        isAbsent ? fallback : try string()
    }

    public func bool(or fallback: Bool) throws(JSONFieldError) -> Bool {
        isAbsent ? fallback : try bool()
    }

    public func int<T: FixedWidthInteger & Sendable>(or fallback: T) throws(JSONFieldError) -> T {
        isAbsent ? fallback : try int()
    }

    public func optionalBool() throws(JSONFieldError) -> Bool? {
        isAbsent ? nil : try bool()
    }

    public func optionalInt<T: FixedWidthInteger & Sendable>(
        _ type: T.Type = T.self
    ) throws(JSONFieldError) -> T? {
        isAbsent ? nil : try int()
    }

    /// The elements, each decoded; none if the array is absent.
    public func list<T>(
        of decode: (JSONCursor) throws(JSONFieldError) -> T
    ) throws(JSONFieldError) -> [T] {
        isAbsent ? [] : try array(of: decode)
    }

    /// An array of strings; empty if it is absent.
    public func strings() throws(JSONFieldError) -> [String] {
        guard case .array(let elements)? = value else {
            return try list { (element) throws(JSONFieldError) in try element.string() }
        }
        // The same without a path for each: a filter of system calls has hundreds of names.
        var result: [String] = []
        result.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard case .string(let text) = element else {
                throw JSONCursor(element, at: .index(path, index)).mismatch(expected: "a string")
            }
            result.append(text)
        }
        return result
    }

    /// An array of integers; empty if it is absent.
    public func ints<T: FixedWidthInteger & Sendable>(
        _ type: T.Type = T.self
    ) throws(JSONFieldError) -> [T] {
        try list { (element) throws(JSONFieldError) in try element.int() }
    }

    /// The members of an object, each value decoded; none if the object is absent.
    public func map<T>(
        of decode: (JSONCursor) throws(JSONFieldError) -> T
    ) throws(JSONFieldError) -> [String: T] {
        if isAbsent { return [:] }
        let fields = try object()
        var result: [String: T] = [:]
        for member in fields.object {
            let cursor = JSONCursor(member.value, at: .key(path, member.key))
            // Two keys of different bytes can be one key to a Swift dictionary: é has two spellings.
            guard result.updateValue(try decode(cursor), forKey: member.key) == nil else {
                throw cursor.error("differs from another key only in its Unicode spelling")
            }
        }
        return result
    }

    /// An object of strings; empty if it is absent.
    public func stringMap() throws(JSONFieldError) -> [String: String] {
        try map { (member) throws(JSONFieldError) in try member.string() }
    }
}

/// The members of an object, on their way to become something typed.
public struct JSONFields: Sendable {
    public let object: JSONObject
    public let path: JSONPath

    /// A member, which may be absent. Members nobody asks for are ignored, as the runtime-spec demands
    /// (config.md, "Extensibility"). One that is there but for the case of letters is taken for it, as by runc's decoder:
    /// else a "readOnly" would be lost without a word.
    public subscript(key: String) -> JSONCursor {
        if let value = object[key] { return JSONCursor(value, at: .key(path, key)) }
        let other = object.first { $0.key.utf8.count == key.utf8.count && Self.sameLetters($0.key, key) }
        return JSONCursor(other?.value, at: .key(path, other?.key ?? key))
    }

    private static func sameLetters(_ one: String, _ other: String) -> Bool {
        func lower(_ byte: UInt8) -> UInt8 {
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
        }
        return zip(one.utf8, other.utf8).allSatisfy { lower($0) == lower($1) }
    }

    /// The decoded member, or nil if it is absent.
    public func optional<T>(
        _ key: String, _ decode: (JSONCursor) throws(JSONFieldError) -> T
    ) throws(JSONFieldError) -> T? {
        try self[key].optional(decode)
    }
}

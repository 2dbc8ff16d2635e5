import JSON

/// A part of the runtime-spec that is a JSON object.
///
/// Decoding checks what the schema of the specification checks about shape: which fields must be there, and the
/// type and width of each. What the values mean is checked by `validate()`. Unknown fields are ignored.
public protocol SpecObject: Equatable, Sendable {
    /// Decodes the object under the cursor.
    init(decoding cursor: JSONCursor) throws(JSONFieldError)

    /// The object as Go's encoding/json writes it: the same order, and without what is absent or empty.
    var json: JSONValue { get }
}

extension SpecObject {
    /// Decodes a value. `path` is what the paths of errors begin with: "process" for the process of an exec.
    public init(json: JSONValue, path: String = "") throws(SpecError) {
        do {
            try self.init(decoding: JSONCursor(json, path: path))
        } catch {
            throw SpecError(error)
        }
    }

    /// Parses and decodes a text, such as the content of config.json.
    public static func parse(
        _ bytes: [UInt8], path: String = "", limits: JSONLimits = JSONLimits()
    ) throws(SpecError) -> Self {
        let value: JSONValue
        do {
            value = try JSONValue.parse(bytes, limits: limits)
        } catch {
            throw SpecError(path: path, message: "is not JSON: \(error)")
        }
        return try Self(json: value, path: path)
    }
}

/// Builds an object in the way of Go's `omitempty`: what is absent, empty, false or zero is left out.
struct Members {
    private(set) var object = JSONObject()

    var json: JSONValue { .object(object) }

    mutating func put(_ key: String, _ value: JSONValue?) {
        if let value { object[key] = value }
    }

    mutating func put(_ key: String, _ text: String) {
        object[key] = .string(text)
    }

    mutating func put(_ key: String, _ integer: some BinaryInteger) {
        object[key] = JSONValue(integer)
    }

    mutating func put(_ key: String, ifPresent integer: (some BinaryInteger)?) {
        if let integer { object[key] = JSONValue(integer) }
    }

    mutating func put(_ key: String, ifPresent flag: Bool?) {
        if let flag { object[key] = .bool(flag) }
    }

    mutating func put(_ key: String, ifPresent part: (some SpecObject)?) {
        if let part { object[key] = part.json }
    }

    mutating func put(_ key: String, ifNotZero integer: some BinaryInteger) {
        if integer != 0 { put(key, integer) }
    }

    mutating func put(_ key: String, ifTrue flag: Bool) {
        if flag { object[key] = .bool(true) }
    }

    mutating func put(_ key: String, ifNotEmpty text: String) {
        if !text.isEmpty { put(key, text) }
    }

    mutating func put(_ key: String, ifNotEmpty strings: [String]) {
        if !strings.isEmpty { object[key] = JSONValue(strings) }
    }

    mutating func put(_ key: String, ifNotEmpty integers: [some BinaryInteger]) {
        if !integers.isEmpty { object[key] = .array(integers.map { JSONValue($0) }) }
    }

    mutating func put(_ key: String, ifNotEmpty parts: [some SpecObject]) {
        if !parts.isEmpty { object[key] = .array(parts.map { $0.json }) }
    }

    mutating func put(_ key: String, ifNotEmpty map: [String: String]) {
        if !map.isEmpty { object[key] = JSONValue(map) }
    }

    mutating func put(_ key: String, ifNotEmpty map: [String: some SpecObject]) {
        if !map.isEmpty { object[key] = .object(JSONObject(sorted: map.map { ($0.key, $0.value.json) })) }
    }
}

/// One JSON value (RFC 8259).
///
/// Integers stay integers: a container's limits are 64 bits wide, and a `Double` holds only 53 of them.
public enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// A number without fraction or exponent that fits.
    case integer(Int64)
    /// The same, above `Int64.max`. Smaller ones are always `.integer`: use `init(_:)` to build either.
    case unsigned(UInt64)
    /// Any other number: with a fraction, an exponent, or too many digits for 64 bits.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue {
    /// The integer as `.integer`, or as `.unsigned` if only that can hold it.
    ///
    /// Integers wider than 64 bits are cut to the nearest 64-bit one.
    public init(_ value: some BinaryInteger) {
        if let small = Int64(exactly: value) {
            self = .integer(small)
        } else if value < 0 {
            self = .integer(.min)
        } else {
            self = .unsigned(UInt64(clamping: value))
        }
    }

    /// An array of strings.
    public init(_ strings: [String]) {
        self = .array(strings.map { .string($0) })
    }

    /// An object of strings, its keys sorted by their bytes, so that equal maps give equal text.
    public init(_ map: [String: String]) {
        self = .object(JSONObject(sorted: map.map { ($0.key, .string($0.value)) }))
    }

    /// The member `key`, or nil if this is no object or has no such member.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let object) = self else { return nil }
        return object[key]
    }

    /// The string, or nil if this is none.
    public var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// What this is, for a sentence such as "expected a string, found a number".
    public var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .unsigned, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(JSONObject(elements))
    }
}

/// How a value is laid out as text.
public enum JSONStyle: Equatable, Sendable {
    /// Without any white space.
    case compact
    /// A line for each member and element, with two spaces a level.
    case pretty
    /// The same with a tab a level, as runc writes config.json.
    case tabs
}

extension JSONValue {
    /// The value as text (UTF-8), without a newline at its end. The same value gives the same bytes, always.
    public func bytes(_ style: JSONStyle = .compact) -> [UInt8] {
        var writer = JSONWriter(style: style)
        writer.write(self, level: 0)
        return writer.output
    }

    /// The value as text, without a newline at its end.
    public func text(_ style: JSONStyle = .compact) -> String {
        String(decoding: bytes(style), as: UTF8.self)
    }
}

private struct JSONWriter {
    var output: [UInt8] = []
    let indent: [UInt8]?

    init(style: JSONStyle) {
        switch style {
        case .compact: indent = nil
        case .pretty: indent = [0x20, 0x20]
        case .tabs: indent = [0x09]
        }
    }

    mutating func write(_ value: JSONValue, level: Int) {
        switch value {
        case .null: put("null")
        case .bool(let flag): put(flag ? "true" : "false")
        case .integer(let integer): put(String(integer))
        case .unsigned(let integer): put(String(integer))
        // JSON has no infinity. The parser makes none either; null is what JavaScript writes.
        case .number(let double): put(double.isFinite ? double.description : "null")
        case .string(let text): string(text)
        case .array(let elements):
            list(elements, between: ("[", "]"), level: level) { $0.write($1, level: level + 1) }
        case .object(let object):
            list(object.members, between: ("{", "}"), level: level) { writer, member in
                writer.string(member.key)
                writer.put(writer.indent == nil ? ":" : ": ")
                writer.write(member.value, level: level + 1)
            }
        }
    }

    private mutating func list<Item>(
        _ items: [Item], between brackets: (String, String), level: Int, item: (inout JSONWriter, Item) -> Void
    ) {
        put(brackets.0)
        for (place, element) in items.enumerated() {
            if place > 0 { put(",") }
            newLine(level + 1)
            item(&self, element)
        }
        if !items.isEmpty { newLine(level) }
        put(brackets.1)
    }

    private mutating func newLine(_ level: Int) {
        guard let indent else { return }
        output.append(0x0A)
        for _ in 0..<level {
            output.append(contentsOf: indent)
        }
    }

    private mutating func put(_ text: String) {
        output.append(contentsOf: text.utf8)
    }

    private mutating func string(_ text: String) {
        output.append(UInt8(ascii: "\""))
        JSONText.escape(text, into: &output)
        output.append(UInt8(ascii: "\""))
    }
}

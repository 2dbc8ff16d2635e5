/// The part of TOML that the configuration file uses: tables, and keys with strings, integers, booleans, and arrays of
/// strings on one line. What is outside of it is an error with its line, never ignored.
struct TOMLDocument: Equatable {
    enum Value: Equatable {
        case string(String)
        case integer(Int)
        case bool(Bool)
        case strings([String])
    }

    struct Entry: Equatable {
        let line: Int
        let value: Value
    }

    /// By "table.key".
    private(set) var entries: [String: Entry] = [:]

    init(parsing text: String) throws(TOMLError) {
        var table = ""
        // CR LF is one character to Swift.
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, raw) in lines.enumerated() {
            var line = TOMLLine(number: index + 1, text: raw)
            line.skipBlanks()
            if line.isAtEnd { continue }
            if line.take("[") {
                table = try line.key()
                line.skipBlanks()
                guard line.take("]") else { throw line.error("expected ] behind the table's name") }
                try line.finish()
                continue
            }
            let key = (table.isEmpty ? "" : table + ".") + (try line.key())
            line.skipBlanks()
            guard line.take("=") else { throw line.error("expected = behind the key") }
            line.skipBlanks()
            let value = try line.value()
            try line.finish()
            guard entries[key] == nil else { throw line.error("\(key) is given twice") }
            entries[key] = Entry(line: index + 1, value: value)
        }
    }
}

struct TOMLError: Error, Equatable, CustomStringConvertible {
    let line: Int
    let message: String
    var description: String { "line \(line): \(message)" }
}

private struct TOMLLine {
    let number: Int
    var rest: Substring

    init(number: Int, text: Substring) {
        self.number = number
        rest = text
    }

    /// At the end, or at a comment.
    var isAtEnd: Bool { rest.isEmpty || rest.first == "#" }

    func error(_ message: String) -> TOMLError { TOMLError(line: number, message: message) }

    mutating func skipBlanks() { rest = rest.drop { $0 == " " || $0 == "\t" } }

    mutating func take(_ character: Character) -> Bool {
        guard rest.first == character else { return false }
        rest.removeFirst()
        return true
    }

    mutating func finish() throws(TOMLError) {
        skipBlanks()
        guard isAtEnd else { throw error("unexpected text at the end of the line: \(rest)") }
    }

    mutating func key() throws(TOMLError) -> String {
        skipBlanks()
        let key = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" || $0 == ".") }
        guard !key.isEmpty else { throw error("expected a name") }
        rest = rest[key.endIndex...]
        return String(key)
    }

    mutating func value() throws(TOMLError) -> TOMLDocument.Value {
        switch rest.first {
        case "\"", "'": return .string(try string())
        case "[": return .strings(try strings())
        default: break
        }
        let word = rest.prefix { !" \t#,]".contains($0) }
        rest = rest[word.endIndex...]
        if word == "true" { return .bool(true) }
        if word == "false" { return .bool(false) }
        guard let integer = Int(word.filter { $0 != "_" }) else {
            throw error("expected a string in quotes, a whole number, true, false, or a list of strings")
        }
        return .integer(integer)
    }

    private mutating func string() throws(TOMLError) -> String {
        let quote = rest.removeFirst()
        var text = ""
        while let character = rest.popFirst() {
            if character == quote { return text }
            guard character == "\\", quote == "\"" else {
                text.append(character)
                continue
            }
            switch rest.popFirst() {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "\\": text.append("\\")
            case "\"": text.append("\"")
            default: throw error("unknown escape in a string")
            }
        }
        throw error("the string has no end")
    }

    private mutating func strings() throws(TOMLError) -> [String] {
        rest.removeFirst()
        var list: [String] = []
        while true {
            skipBlanks()
            if take("]") { return list }
            guard rest.first == "\"" || rest.first == "'" else { throw error("expected a string or ] in the list") }
            list.append(try string())
            skipBlanks()
            if !take(","), rest.first != "]" { throw error("expected , or ] in the list") }
        }
    }
}

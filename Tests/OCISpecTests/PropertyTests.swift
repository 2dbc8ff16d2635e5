import JSON
import OCISpec
import Testing

/// Configurations by chance, made of all that the schema knows; the same in every run.
@Suite("OCI spec: properties")
struct PropertyTests {
    @Test("a valid configuration is valid, and the same when it was written and read again")
    func valid() throws {
        var random = SeededGenerator(state: 5)
        var used: Set<String> = []
        for _ in 0..<100 {
            let document = SchemaTree.root.random(&random, used: &used)
            let spec = try Spec(json: document)
            let written = spec.json
            #expect(try Spec(json: written) == spec)
            #expect(try Spec(json: written).json == written)
            #expect(try Spec.parse(written.bytes(.pretty)) == spec)
            let failure = failure { try spec.validate() }
            // Actions and error numbers come by chance; not all go together.
            #expect(failure == nil || failure?.hasSuffix(" has no error number") == true, "\(failure ?? "")")
            _ = spec.refusals()
        }
        // Or the test would say less than it seems to.
        #expect(Set(SchemaField.all.map(\.path)).subtracting(used).sorted() == [])
    }

    @Test("what is spoiled somewhere is refused by a path, or valid all the same; nothing traps")
    func mutants() throws {
        var random = SeededGenerator(state: 6)
        var used: Set<String> = []
        var outcomes: [String: Int] = [:]
        for _ in 0..<30 {
            let document = SchemaTree.root.random(&random, used: &used)
            let places = Mutation.count(document)
            for mutation in Mutation.allCases {
                for _ in 0..<2 {
                    let place = Int.random(in: 1..<places, using: &random)
                    let text = mutation.text(of: document, place: place, &random)
                    outcomes["\(mutation) \(check(text) ? "taken" : "refused")", default: 0] += 1
                }
            }
        }
        // Each kind of harm is one that is seen, most of the time.
        for mutation in Mutation.allCases where mutation != .duplicateKey && mutation != .longText {
            #expect((outcomes["\(mutation) refused"] ?? 0) > 0, "\(outcomes)")
        }
    }

    /// Whether it is valid; if not, the error says where.
    private func check(_ text: [UInt8]) -> Bool {
        do throws(SpecError) {
            let spec = try Spec.parse(text)
            #expect(try Spec(json: spec.json) == spec)
            _ = spec.refusals().map(\.description)
            try spec.validate()
            return true
        } catch {
            let isPlaced =
                error.path.isEmpty
                ? error.message.hasPrefix("is not JSON: line ") || error.message.hasPrefix("expected an object")
                : Self.sections.contains(String(error.path.prefix { $0 != "." && $0 != "[" }))
            #expect(isPlaced, "\(error)")
            #expect(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F })
            #expect(error.description.utf8.count < 1000, "an error that long says nothing: \(error.path)")
            return false
        }
    }

    private static let sections = Set(SchemaField.all.map { String($0.path.prefix { $0 != "." && $0 != "[" }) })
}

/// What goes wrong with a configuration, at one of its values.
private enum Mutation: CaseIterable {
    case wrongType, removed, outOfRange, unknownWord, longText, deepNesting, nulByte, duplicateKey

    /// How many values a document has.
    static func count(_ value: JSONValue) -> Int {
        switch value {
        case .array(let elements): elements.reduce(1) { $0 + count($1) }
        case .object(let object): object.members.reduce(1) { $0 + count($1.value) }
        default: 1
        }
    }

    /// The document with this done to its `place`-th value or the next that it can be done to.
    func text(of document: JSONValue, place: Int, _ random: inout some RandomNumberGenerator) -> [UInt8] {
        var writer = Writer(mutation: self, left: place, choice: Int.random(in: 0..<1000, using: &random))
        writer.write(document)
        return Array(writer.text.utf8)
    }

    /// Text in the place of a value; nil where this can't be done.
    func replacement(_ value: JSONValue, choice: Int) -> String? {
        func one(_ texts: String...) -> String { texts[choice % texts.count] }
        switch (self, value) {
        case (.wrongType, .string): return one("5", "true", "[]", "{}", "1.5")
        case (.wrongType, .integer), (.wrongType, .unsigned): return one("\"5\"", "true", "[5]", "{}", "1.5", "1e3")
        case (.wrongType, .bool): return one("1", "\"true\"", "[]")
        case (.wrongType, .array): return one("{}", "\"x\"", "7", "[[]]", "[null]")
        case (.wrongType, .object): return one("[]", "\"x\"", "7", "[{}]")
        case (.outOfRange, .integer), (.outOfRange, .unsigned):
            return one(
                "-1", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "1e400", "4294967296")
        case (.unknownWord, .string): return one("\"NO_SUCH_WORD\"", "\"\"", "\"\\u212AILL\"", "\"..\"", "\"\\u0301/\"")
        case (.longText, .string): return "\"/" + String(repeating: one("a", "a/", "é", ","), count: 10_000) + "\""
        case (.deepNesting, _):
            let depth = one("60", "64", "5000")
            let count = Int(depth) ?? 0
            return String(repeating: "[", count: count) + String(repeating: "]", count: count)
        case (.nulByte, .string(let text)): return String(JSONText.quoted(text, limit: 10_000).dropLast()) + "\\u0000\""
        default: return nil
        }
    }

    /// Writes a document as JSON, with one thing wrong.
    private struct Writer {
        let mutation: Mutation
        var left: Int
        let choice: Int
        var text = ""

        mutating func write(_ value: JSONValue) {
            left -= 1
            if left < 0, let replacement = mutation.replacement(value, choice: choice) {
                text += replacement
                done()
                return
            }
            switch value {
            case .array(let elements):
                text += "["
                for (index, element) in elements.enumerated() {
                    if index > 0 { text += "," }
                    write(element)
                }
                text += "]"
            case .object(let object):
                writeMembers(object)
            default: text += value.text()
            }
        }

        private mutating func writeMembers(_ object: JSONObject) {
            text += "{"
            var isFirst = true
            for member in object {
                if left <= 0, mutation == .removed {
                    done()
                    continue
                }
                text += (isFirst ? "" : ",") + JSONText.quoted(member.key, limit: 1000) + ":"
                isFirst = false
                if left <= 0, mutation == .duplicateKey {
                    done()
                    text += (choice % 2 == 0 ? "null" : "[1]") + "," + JSONText.quoted(member.key, limit: 1000) + ":"
                }
                write(member.value)
            }
            text += "}"
        }

        /// Nothing more is to go wrong.
        private mutating func done() { left = .max }
    }
}

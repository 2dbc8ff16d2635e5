import Testing

@testable import Runtime

struct TOMLTests {
    private func value(_ text: String) throws -> TOMLDocument.Value? {
        try TOMLDocument(parsing: "key = " + text).entries["key"]?.value
    }

    @Test(
        arguments: [
            (#""text""#, TOMLDocument.Value.string("text")), (#""""#, .string("")),
            (#"'raw \n "x"'"#, .string(#"raw \n "x""#)),
            (##""\n\t\\\"#""##, .string("\n\t\\\"#")), (#""é→""#, .string("é→")), ("7", .integer(7)),
            ("-3", .integer(-3)),
            ("+3", .integer(3)), ("1_000", .integer(1000)), ("9223372036854775807", .integer(.max)),
            ("true", .bool(true)),
            ("false", .bool(false)), ("[]", .strings([])), ("[ ]", .strings([])),
            (#"["a", 'b']"#, .strings(["a", "b"])),
            (#"[ "a" , ]"#, .strings(["a"])), (#""x" # comment"#, .string("x")), ("5# comment", .integer(5)),
        ] as [(String, TOMLDocument.Value)])
    func values(text: String, expected: TOMLDocument.Value) throws { #expect(try value(text) == expected) }

    @Test("tables, comments and blank lines; each entry knows its line", arguments: ["\n", "\r\n"])
    func document(newline: String) throws {
        let lines = [
            "# a comment", "top = 1", "", "[guest]  # its table", "\ta-b_c = \"x\"", "dotted.key=2", "  [ other ]",
            "top = true",
        ]
        let document = try TOMLDocument(parsing: lines.joined(separator: newline))
        let expected: [String: TOMLDocument.Entry] = [
            "top": .init(line: 2, value: .integer(1)), "guest.a-b_c": .init(line: 5, value: .string("x")),
            "guest.dotted.key": .init(line: 6, value: .integer(2)), "other.top": .init(line: 8, value: .bool(true)),
        ]
        #expect(document.entries == expected)
        #expect(try TOMLDocument(parsing: lines.joined(separator: newline) + newline) == document)
    }

    @Test func empty() throws {
        for text in ["", "\n", "\r\n", " \t\n#", "# only a comment"] {
            #expect(try TOMLDocument(parsing: text).entries.isEmpty)
        }
    }

    @Test(
        "what is outside of the subset is an error with its line",
        arguments: [
            ("key", "expected = behind the key"), ("= 1", "expected a name"), ("key =", "expected a string in quotes"),
            ("key = word", "expected a string in quotes"), ("key = 1.5", "expected a string in quotes"),
            ("key = 0x10", "expected a string in quotes"), ("key = 9223372036854775808", "expected a string in quotes"),
            ("key = 2026-01-01", "expected a string in quotes"), ("key = _", "expected a string in quotes"),
            ("key = True", "expected a string in quotes"), ("key = {a = 1}", "expected a string in quotes"),
            (#"key = "x"#, "the string has no end"), ("key = 'x", "the string has no end"),
            (#"key = "\"#, "unknown escape"),
            (#"key = "\q""#, "unknown escape"), (#"key = "\u0041""#, "unknown escape"),
            (#"key = """x""""#, "unexpected text"),
            (#"key = "x" y"#, "unexpected text at the end of the line: y"), ("key = 1 2", "unexpected text"),
            ("key = [1]", "expected a string or ] in the list"), (#"key = ["a" "b"]"#, "expected , or ] in the list"),
            (#"key = ["a""#, "expected , or ] in the list"), ("key = [", "expected a string or ] in the list"),
            ("key = [,]", "expected a string or ] in the list"), (#"key = [["a"]]"#, "expected a string or ]"),
            ("[table", "expected ] behind the table's name"), ("[]", "expected a name"),
            ("[[list]]", "expected a name"),
            ("[a] b", "unexpected text"), (#""quoted" = 1"#, "expected a name"),
            ("schlüssel = 1", "expected = behind the key"),
            ("\u{FEFF}key = 1", "expected a name"), ("key : 1", "expected = behind the key"),
            ("first = 2", "first is given twice"),
            ("key = \"a\u{301}\" b", "unexpected text"),
        ])
    func errors(line: String, message: String) {
        let error = #expect(throws: TOMLError.self) { try TOMLDocument(parsing: "first = 1\n\n\(line)\n") }
        #expect(error?.line == 3)
        #expect(error?.message.hasPrefix(message) == true, "\(String(describing: error))")
    }

    @Test("noise is understood or refused, and never traps")
    func noise() {
        var random = SeededGenerator(state: 6)
        let alphabet = Array("[]=\"'\\#,_-.+ \t\n\rabt190é\u{301}")
        for _ in 0..<20_000 {
            let text = String(
                (0..<Int.random(in: 0...30, using: &random)).map { _ in
                    alphabet.randomElement(using: &random) ?? " "
                })
            if let document = try? TOMLDocument(parsing: text) {
                #expect(document.entries.values.allSatisfy { $0.line >= 1 && $0.line <= 31 })
            }
        }
    }
}

/// The same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

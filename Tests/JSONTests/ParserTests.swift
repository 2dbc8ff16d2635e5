import JSON
import Testing

@Suite("JSON: what is accepted")
struct ParserTests {
    @Test(
        arguments: [
            ("null", JSONValue.null), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("12", 12), ("-7", -7),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
            ("9223372036854775808", .unsigned(1 << 63)), ("18446744073709551615", .unsigned(.max)),
            ("18446744073709551616", .number(0x1p64)),
            ("-9223372036854775809", .number(-0x1p63)),
            ("1.5", .number(1.5)), ("1e3", .number(1000)), ("-1.25E-2", .number(-0.0125)), ("1e-999", .number(0)),
            ("\"\"", ""), ("\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "a\n\t\"\\/\u{8}\u{c}\r"), ("\"\u{7f}é€😀\"", "\u{7f}é€😀"),
            ("\"\\u0041\\u00e9\\u20AC\"", "Aé€"), ("\"\\ud83d\\uDE00\"", "😀"), ("\"\\u0000\"", "\u{0}"),
            ("[]", []), ("[ ]", []), ("[1,[2,[]] , {}]", [1, [2, []], [:]]), ("{}", [:]),
            ("{\"a\":1,\r\n\t\"b\" : [null]}", ["a": 1, "b": [nil]]),
        ] as [(String, JSONValue)])
    func accepts(text: String, value: JSONValue) throws {
        #expect(try JSONValue.parse(text) == value)
    }

    @Test("a key that occurs twice has its last value")
    func duplicates() throws {
        let value = try JSONValue.parse(#"{"a":1,"b":2,"a":3,"\u0061":4}"#)
        #expect(value == ["a": 4, "b": 2])
    }

    @Test("keys are compared byte by byte, in small objects and in large ones")
    func canonicallyEqualKeys() throws {
        let padding = (0..<40).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        for rest in ["", "," + padding] {
            let value = try JSONValue.parse("{\"é\":1,\"e\u{301}\":2,\"\u{212A}\":3\(rest)}")
            guard case .object(let object) = value else {
                Issue.record("no object")
                return
            }
            #expect(object.count == (rest.isEmpty ? 3 : 43))
            #expect(object["é"] == 1)
            #expect(object["e\u{301}"] == 2)
            #expect(object["K"] == nil)
        }
    }

    @Test("an object keeps order and finds members, however large, and when members go")
    func largeObject() throws {
        var object = JSONObject()
        for number in 0..<1000 { object["k\(number)"] = JSONValue(number) }
        object["k3"] = nil
        object["k4"] = "new"
        #expect(object.count == 999)
        #expect(object["k3"] == nil)
        #expect(object["k4"] == "new")
        #expect(object["k999"] == 999)
        #expect(object.members[3].key == "k4")
        for number in 0..<990 { object["k\(number)"] = nil }
        #expect(object.members.map(\.key) == (990..<1000).map { "k\($0)" })
        #expect(object["k995"] == 995)
    }

    @Test("numbers beyond 64 bits don't trap")
    func hugeNumbers() throws {
        let digits = String(repeating: "9", count: 300)
        #expect(try JSONValue.parse(digits) == .number(Double(digits) ?? 0))
        #expect(try JSONValue.parse("0." + String(repeating: "0", count: 5000) + "1") == .number(0))
        #expect(JSONValue(Int64.min) == .integer(.min))
        #expect(JSONValue(UInt64.max) == .unsigned(.max))
        #expect(JSONValue(UInt64(7)) == .integer(7))
    }
}

@Suite("JSON: what is refused, and how")
struct ParserErrorTests {
    @Test(
        arguments: [
            ("", "line 1, column 1: unexpected end of file"),
            ("  \n ", "line 2, column 2: unexpected end of file"),
            ("x", "line 1, column 1: unexpected character 'x'"),
            ("nulL", "line 1, column 4: unexpected character 'L'"),
            ("tru", "line 1, column 4: unexpected end of file"),
            ("{} x", "line 1, column 4: unexpected character 'x' after the end of the value"),
            ("1 2", "line 1, column 3: unexpected character '2' after the end of the value"),
            ("[1,]", "line 1, column 4: unexpected character ']'"),
            ("[1 2]", "line 1, column 4: unexpected character '2' after an element, where ',' or ']' must follow"),
            ("[1", "line 1, column 3: unexpected end of file after an element, where ',' or ']' must follow"),
            ("{\"a\" 1}", "line 1, column 6: unexpected character '1' after a key, where ':' must follow"),
            (
                "{\"a\":1,}",
                "line 1, column 8: unexpected character '}' after '{' or ',', where a key in quotes must follow"
            ),
            (
                "{a:1}",
                "line 1, column 2: unexpected character 'a' after '{' or ',', where a key in quotes must follow"
            ),
            ("{\"a\":1", "line 1, column 7: unexpected end of file after a member, where ',' or '}' must follow"),
            ("01", "line 1, column 1: a number with a leading zero"),
            ("-01", "line 1, column 1: a number with a leading zero"),
            ("-", "line 1, column 2: unexpected end of file after '-', where a digit must follow"),
            ("+1", "line 1, column 1: unexpected character '+'"),
            (".5", "line 1, column 1: unexpected character '.'"),
            ("1.", "line 1, column 3: unexpected end of file after '.', where a digit must follow"),
            ("1.e3", "line 1, column 3: unexpected character 'e' after '.', where a digit must follow"),
            ("1e+", "line 1, column 4: unexpected end of file after 'e', where a digit must follow"),
            ("1e999", "line 1, column 1: a number that is too large"),
            ("NaN", "line 1, column 1: unexpected character 'N'"),
            ("\"a", "line 1, column 3: unexpected end of file in a string"),
            ("\"\\", "line 1, column 3: unexpected end of file in a string"),
            ("\"\\u12", "line 1, column 6: unexpected end of file in a string"),
            ("\"\\x\"", "line 1, column 3: unexpected character 'x' after '\\' in a string"),
            (
                "\"\\u12g4\"",
                "line 1, column 6: unexpected character 'g' after '\\u', where four hexadecimal digits must follow"
            ),
            ("\"\\ud83d\"", "line 1, column 2: half a surrogate pair"),
            ("\"\\ude00\"", "line 1, column 2: half a surrogate pair"),
            ("\"\\ud83d\\u0041\"", "line 1, column 2: half a surrogate pair"),
            ("\"a\nb\"", "line 1, column 3: control character 0x0A in a string (must be escaped)"),
            ("\"\\n\u{1}\"", "line 1, column 4: control character 0x01 in a string (must be escaped)"),
            ("\u{FEFF}{}", "line 1, column 1: the text begins with a byte order mark"),
            ("{\n  \"é\": é\n}", "line 2, column 8: unexpected byte 0xC3"),
            ("// no\n1", "line 1, column 1: unexpected character '/'"),
            ("\u{a0}1", "line 1, column 1: unexpected byte 0xC2"),
        ] as [(String, String)])
    func refuses(text: String, error: String) {
        #expect(message(Array(text.utf8)) == error)
    }

    @Test(
        arguments: [
            ([0x22, 0x61, 0xFF, 0x22], 3), ([0x22, 0xC0, 0xAF, 0x22], 2), ([0x22, 0xED, 0xA0, 0x80, 0x22], 2),
            ([0x22, 0xF5, 0x80, 0x80, 0x80, 0x22], 2), ([0x22, 0xC3, 0xA9, 0xE2, 0x82, 0x22], 3),
            ([0x22, 0x5C, 0x6E, 0x80, 0x22], 4),
        ] as [([UInt8], Int)])
    func notUTF8(bytes: [UInt8], column: Int) {
        #expect(message(bytes) == "line 1, column \(column): a string is not UTF-8")
    }

    @Test("bombs of depth, length and number")
    func limits() throws {
        #expect(message(Array(String(repeating: "[", count: 3_000_000).utf8))?.contains("64 levels") == true)
        #expect(message(Array(String(repeating: "{\"a\":", count: 500_000).utf8))?.contains("64 levels") == true)
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(message(Array(deep.utf8)) == nil)
        #expect(message(Array("[\(deep)]".utf8))?.contains("64 levels") == true)
        let long = [UInt8](repeating: 0x20, count: 5 << 20)
        #expect(message(long)?.hasSuffix("the text has 5242880 bytes, allowed are 4194304") == true)
        let many = "[" + String(repeating: "0,", count: 600_000) + "0]"
        #expect(message(Array(many.utf8))?.contains("more than 500000 values") == true)
        #expect(throws: JSONError.self) { try JSONValue.parse("[1,2]", limits: JSONLimits(depth: 0)) }
    }
}

func message(_ bytes: [UInt8]) -> String? {
    do {
        _ = try JSONValue.parse(bytes)
        return nil
    } catch {
        return error.description
    }
}

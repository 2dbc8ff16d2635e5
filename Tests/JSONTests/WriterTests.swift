import JSON
import Testing

@Suite("JSON: writing")
struct WriterTests {
    static let sample: JSONValue = [
        "b": [1, -2, .unsigned(.max), .number(1.5), .number(1e100), true, nil],
        "a": ["x": [], "y": [:], "z": "\"\\\n\t\r\u{8}\u{c}\u{1}\u{7f}é😀/"],
    ]

    @Test func compact() {
        #expect(
            Self.sample.text()
                == #"{"b":[1,-2,18446744073709551615,1.5,1e+100,true,null],"#
                + #""a":{"x":[],"y":{},"z":"\"\\\n\t\r\b\f\u0001"#
                + "\u{7f}é😀/\"}}")
    }

    @Test func pretty() {
        let value: JSONValue = ["a": [1, ["b": "c"]], "d": [], "e": [:]]
        #expect(
            value.text(.pretty) == """
                {
                  "a": [
                    1,
                    {
                      "b": "c"
                    }
                  ],
                  "d": [],
                  "e": {}
                }
                """)
        #expect(value.text(.tabs).hasPrefix("{\n\t\"a\": [\n\t\t1,\n"))
    }

    @Test("what is written is read as the same", arguments: [JSONStyle.compact, .pretty, .tabs])
    func roundTrip(style: JSONStyle) throws {
        #expect(try JSONValue.parse(Self.sample.bytes(style)) == Self.sample)
    }

    @Test("every scalar below U+0100 and some above survive")
    func scalars() throws {
        var text = ""
        for value in (0...0xFF as ClosedRange<UInt32>) { text.unicodeScalars.append(Unicode.Scalar(value) ?? "?") }
        text += "\u{2028}\u{FFFF}\u{10FFFF}\u{FEFF}"
        #expect(try JSONValue.parse(JSONValue.string(text).bytes()) == .string(text))
    }

    @Test("numbers that JSON has no word for")
    func infinity() {
        #expect(JSONValue.array([.number(.infinity), .number(.nan)]).text() == "[null,null]")
    }

    @Test("maps are written in the order of their keys' bytes")
    func maps() {
        #expect(JSONValue(["b": "1", "a": "2", "B": "3"]).text() == #"{"B":"3","a":"2","b":"1"}"#)
    }

    @Test("quoted text is fit for a terminal")
    func quoted() {
        #expect(JSONText.quoted("a\u{1b}[31m\n\u{202e}\u{9b}") == #""a\u001b[31m\n\u202e\u009b""#)
        #expect(JSONText.quoted(String(repeating: "x", count: 100), limit: 5) == "\"xxxxx…\"")
        #expect(JSONText.quoted("exact", limit: 5) == "\"exact\"")
    }
}

import JSON
import Testing

@Suite("JSON: cursors")
struct CursorTests {
    static let document: JSONValue = [
        "process": [
            "args": ["sh", 1], "cwd": nil, "flag": "yes", "big": .unsigned(.max), "small": -1, "real": .number(1.5),
            "rlimits": [["hard": 1], ["hard": "x"]],
        ],
        "annotations": ["io.x/y z": 1],
    ]

    @Test("errors say where, what was expected and what was found")
    func errors() throws {
        let fields = try JSONCursor(Self.document).object()
        let process = try fields["process"].object()
        expect("process.args[1]: expected a string, found a number") { () throws(JSONFieldError) in
            _ = try process["args"].strings()
        }
        expect("process.cwd: is missing") { () throws(JSONFieldError) in _ = try process["cwd"].string() }
        expect("process.user: is missing") { () throws(JSONFieldError) in _ = try process["user"].object() }
        expect("process.flag: expected a boolean, found a string") { () throws(JSONFieldError) in
            _ = try process["flag"].bool(or: false)
        }
        expect("process.big: 18446744073709551615 is out of range (0 to 4294967295)") { () throws(JSONFieldError) in
            _ = try process["big"].uint32()
        }
        expect("process.small: -1 is out of range (0 to 10)") { () throws(JSONFieldError) in
            _ = try process["small"].int(in: 0...10) as Int
        }
        expect("process.real: expected an integer, found 1.5") { () throws(JSONFieldError) in
            _ = try process["real"].int() as Int
        }
        expect("process.rlimits[1].hard: expected an integer, found a string") { () throws(JSONFieldError) in
            _ = try process["rlimits"].list { (element) throws(JSONFieldError) in
                try element.object()["hard"].int(UInt64.self)
            }
        }
        expect("annotations[\"io.x/y z\"]: expected a string, found a number") { () throws(JSONFieldError) in
            _ = try fields["annotations"].stringMap()
        }
        expect("expected an object, found an array") { () throws(JSONFieldError) in _ = try JSONCursor([]).object() }
        expect("process: is missing") { () throws(JSONFieldError) in
            _ = try JSONCursor(nil, path: "process").object()
        }
    }

    @Test("what is absent or null")
    func absent() throws {
        let process = try JSONCursor(["a": nil, "n": 7], path: "process").object()
        #expect(process["a"].isAbsent && process["b"].isAbsent)
        #expect(try process["a"].string(or: "x") == "x")
        #expect(try process["a"].int(or: 5) == 5)
        #expect(try process["n"].optionalInt(UInt8.self) == 7)
        #expect(try process["b"].optionalInt(UInt8.self) == nil)
        #expect(try process["b"].strings() == [])
        #expect(try process["b"].stringMap() == [:])
        #expect(try process.optional("n") { (cursor) throws(JSONFieldError) in try cursor.uint32() } == 7)
    }

    @Test("keys that a dictionary would take for one are refused, not merged")
    func canonicallyEqualKeys() throws {
        let value = try JSONValue.parse("{\"é\":\"1\",\"e\u{301}\":\"2\"}")
        expect("[\"e\u{301}\"]: differs from another key only in its Unicode spelling") { () throws(JSONFieldError) in
            _ = try JSONCursor(value).stringMap()
        }
    }

    private func expect(_ description: String, _ body: () throws(JSONFieldError) -> Void) {
        do {
            try body()
            Issue.record("no error: \(description)")
        } catch {
            #expect(error.description == description)
        }
    }
}

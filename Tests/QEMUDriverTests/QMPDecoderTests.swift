import JSON
import Testing

@testable import QEMUDriver

struct QMPDecoderTests {
    private static let greeting = #"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"# + "\r\n"
    private static let reply = #"{"return": {}}"# + "\r\n"
    private static let refusal = #"{"error": {"class": "CommandNotFound", "desc": "no such command"}}"# + "\r\n"
    private static let reset =
        #"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "#
        + #""data": {"guest": true, "reason": "guest-reset"}}"# + "\r\n"
    private static let resume = #"{"timestamp": {}, "event": "RESUME"}"# + "\n"

    private let stream = Array((Self.greeting + Self.reply + Self.refusal + Self.resume + Self.reset).utf8)
    private let messages: [QMPMessage] = [
        .greeting, .reply, .error("no such command"), .otherEvent("RESUME"), .shutdown(reason: "guest-reset"),
    ]

    private func decode(_ text: String) throws -> [QMPMessage] {
        var decoder = QMPDecoder()
        return try decoder.decode(Array(text.utf8))
    }

    @Test func allAtOnce() throws {
        var decoder = QMPDecoder()
        #expect(try decoder.decode(stream) == messages)
        #expect(try decoder.decode([]) == [])
    }

    @Test("a message comes with its line's end, wherever the reads are split")
    func split() throws {
        for place in 0...stream.count {
            var decoder = QMPDecoder()
            let first = try decoder.decode(Array(stream[..<place]))
            #expect(first + (try decoder.decode(Array(stream[place...]))) == messages)
        }
        var decoder = QMPDecoder()
        #expect(try stream.flatMap { try decoder.decode([$0]) } == messages)
    }

    @Test("half a message is none")
    func unfinished() throws {
        #expect(try decode(String(Self.greeting.dropLast())) == [])
    }

    @Test func emptyLines() throws {
        #expect(try decode("\r\n\n\r\r\n" + Self.reply + "\n") == [.reply])
    }

    @Test(arguments: [
        (#"{"return": null}"#, QMPMessage.reply), (#"{"return": [1], "id": 3}"#, .reply),
        (#"{"error": {}}"#, .error("unknown error")),
        (#"{"error": 7}"#, .error("unknown error")), (#"{"event": "SHUTDOWN"}"#, .shutdown(reason: "unknown")),
        (#"{"event": "SHUTDOWN", "data": {"reason": 5}}"#, .shutdown(reason: "unknown")),
        (#"{"event": ""}"#, .otherEvent("")), (#"{"QMP": null}"#, .greeting),
    ])
    func forms(line: String, message: QMPMessage) throws { #expect(try decode(line + "\n") == [message]) }

    @Test(
        "a line that is no message ends the stream",
        arguments: [
            "{}", "[]", "7", "null", #""event""#, #"{"event": 5}"#, #"{"timestamp": {}}"#, "{", "}", "garbage", "\u{0}",
            #"{"return": {}} {"return": {}}"#, #"{"return": "\#u{1}"}"#,
            String(repeating: "[", count: 100_000), String(repeating: #"{"a":"#, count: 10_000),
        ])
    func refused(line: String) {
        #expect(throws: QMPError.self) { try decode(line + "\n") }
    }

    @Test func notText() {
        var decoder = QMPDecoder()
        #expect(throws: QMPError.self) { try decoder.decode([0x22, 0xff, 0xfe, 0x22, 0x0a]) }
    }

    @Test("a line without end is refused when it is too long, and not collected")
    func endless() throws {
        var decoder = QMPDecoder()
        let piece = [UInt8](repeating: UInt8(ascii: " "), count: 65536)
        for _ in 0..<(QMPDecoder.longestLine / piece.count) { #expect(try decoder.decode(piece) == []) }
        #expect(throws: QMPError(description: "a line is too long")) { try decoder.decode([32]) }
    }

    @Test("the longest line that is taken")
    func longest() throws {
        let start = #"{"event": "X", "data": ""#
        let line = start + String(repeating: "x", count: QMPDecoder.longestLine - start.utf8.count - 2) + "\"}"
        #expect(try decode(line + "\n") == [.otherEvent("X")])
    }

    @Test func commands() throws {
        #expect(String(decoding: QMPCommand.enable.bytes, as: UTF8.self) == #"{"execute":"qmp_capabilities"}"# + "\n")
        #expect(try JSONValue.parse(QMPCommand.quit.bytes)["execute"]?.string == "quit")
    }
}

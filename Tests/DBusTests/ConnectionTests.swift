import LinuxSys
import Testing

@testable import DBus

struct ConnectionTests {
    /// A server that has said all it will before it is asked: its answers fit the socket.
    private func connect(
        _ said: [UInt8], milliseconds: UInt64 = 2000, ends: Bool = true,
        _ body: (DBusConnection) throws -> Void = { _ in }
    ) throws -> [UInt8] {
        let (ours, theirs) = try Sockets.pair().split()
        let server = FileDescriptor(owning: theirs)
        try server.writeAll(said)
        if ends { try Sockets.shutdownWriting(server) }
        do {
            let connection = try DBusConnection(
                FileDescriptor(owning: ours), milliseconds: milliseconds, watching: "JobRemoved")
            try body(connection)
        }
        return try server.readAll(limit: 1 << 20)
    }

    private let welcome = Array("OK 0123456789abcdef0123456789abcdef\r\n".utf8)

    private func answer(_ serial: UInt32, _ arguments: [DBusValue] = []) -> [UInt8] {
        var message = DBusMessage(.answer, arguments)
        message.answered = serial
        return message.bytes
    }

    private func signal(_ member: String, _ arguments: [DBusValue] = []) -> [UInt8] {
        var message = DBusMessage(.signal, arguments)
        message.path = "/"
        message.interface = "x.y"
        message.member = member
        return message.bytes
    }

    private func call(_ connection: DBusConnection) throws -> DBusMessage {
        var call = DBusMessage(.call)
        call.path = "/"
        call.member = "M"
        return try connection.call(call)
    }

    @Test("it introduces itself, and calls")
    func calls() throws {
        let said = try connect(welcome + answer(9) + signal("X") + answer(1, [.uint32(5)])) {
            let arguments = try call($0).arguments()
            #expect(arguments == [.uint32(5)])
        }
        let words = String(decoding: said.prefix(64), as: UTF8.self)
        #expect(words.hasPrefix("\0AUTH EXTERNAL 3"), "\(words)")
        #expect(words.contains("\r\nBEGIN\r\nl\u{1}\0\u{1}"), "\(words)")
    }

    @Test("a signal that comes before the answer is not lost; others are passed over")
    func signals() throws {
        let early = signal("JobRemoved", [.uint32(1)]) + signal("Other") + signal("JobRemoved", [.uint32(2)])
        _ = try connect(welcome + early + answer(1) + signal("JobRemoved", [.uint32(3)])) {
            _ = try call($0)
            for number: UInt32 in 2...3 {
                let signal = try $0.signal { signal throws(DBusError) in try signal.arguments() == [.uint32(number)] }
                #expect(signal.member == "JobRemoved")
            }
        }
    }

    @Test func errors() throws {
        var refusal = DBusMessage(.error, [.string("no such thing")])
        refusal.answered = 1
        refusal.errorName = "a.b.C"
        _ = try connect(welcome + refusal.bytes) { connection in
            #expect(throws: DBusError.refused(name: "a.b.C", message: "no such thing")) { try call(connection) }
        }
        // One whose argument is no text, and one without a name.
        var odd = DBusMessage(.error, [.uint32(1)])
        odd.answered = 1
        _ = try connect(welcome + odd.bytes) { connection in
            #expect(throws: DBusError.refused(name: "an error without a name", message: "")) { try call(connection) }
        }
    }

    @Test func refusals() throws {
        #expect(throws: DBusError.authentication("REJECTED EXTERNAL")) {
            try connect(Array("REJECTED EXTERNAL\u{7}\r\n".utf8))
        }
        #expect(throws: DBusError.malformed("a line without an end")) {
            try connect([UInt8](repeating: 65, count: 5000))
        }
        #expect(throws: DBusError.closed) { try connect([]) }
        #expect(throws: DBusError.timedOut) { try connect([], milliseconds: 20, ends: false) }
    }

    @Test("a server that says nothing, ends in the middle, or says nonsense")
    func silence() throws {
        _ = try connect(welcome, milliseconds: 20, ends: false) { connection in
            #expect(throws: DBusError.timedOut) { try call(connection) }
        }
        _ = try connect(welcome + answer(1).dropLast()) { connection in
            #expect(throws: DBusError.closed) { try call(connection) }
        }
        _ = try connect(welcome + Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)) { connection in
            #expect(throws: DBusError.malformed("byte order 72")) { try call(connection) }
        }
        // A gigabyte is announced; nothing is kept for it.
        _ = try connect(welcome + [0x6C, 2, 0, 1, 0, 0, 0, 64, 1, 0, 0, 0, 0, 0, 0, 0]) { connection in
            #expect(throws: DBusError.self) { try call(connection) }
        }
    }
}

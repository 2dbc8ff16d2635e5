import Testing

@testable import DBus

struct MessageTests {
    private var call: DBusMessage {
        var message = DBusMessage(
            .call,
            [
                .string("a.scope"), .string("replace"),
                .array(
                    "(sv)",
                    [
                        .structure([.string("PIDs"), .variant(.array("u", [.uint32(7)]))]),
                        .structure([.string("Delegate"), .variant(.boolean(true))]),
                        .structure([.string("MemoryMax"), .variant(.uint64(.max))]),
                        .structure([.string("AllowedCPUs"), .variant(.array("y", [.byte(0x81), .byte(2)]))]),
                    ]), .array("(sa(sv))", []),
            ])
        message.serial = 3
        message.path = "/org/freedesktop/systemd1"
        message.interface = "org.freedesktop.systemd1.Manager"
        message.member = "StartTransientUnit"
        message.destination = "org.freedesktop.systemd1"
        return message
    }

    @Test("what is written is read again")
    func roundTrip() throws {
        let message = try #require(try DBusMessage.decode(call.bytes))
        #expect(message == call && message.signature == "ssa(sv)a(sa(sv))")
        #expect(try message.arguments() == call.arguments())
    }

    @Test("the bytes of a call are those that the specification has")
    func bytes() {
        var message = DBusMessage(.call, [.string("ab"), .uint64(1)])
        message.serial = 1
        message.path = "/x"
        message.member = "M"
        let header: [UInt8] = [
            0x6C, 1, 0, 1, 16, 0, 0, 0, 1, 0, 0, 0, 40, 0, 0, 0,
            // Path, member, signature; each at a multiple of eight.
            1, 1, 0x6F, 0, 2, 0, 0, 0, 0x2F, 0x78, 0, 0, 0, 0, 0, 0,
            3, 1, 0x73, 0, 1, 0, 0, 0, 0x4D, 0, 0, 0, 0, 0, 0, 0,
            8, 1, 0x67, 0, 2, 0x73, 0x74, 0,
        ]
        #expect(message.bytes == header + [2, 0, 0, 0, 0x61, 0x62, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test(arguments: ["a", "(", "()", "a()", "(s", "a(", "z", "av)", String(repeating: "a", count: 255) + "y"])
    func types(signature: String) {
        var reader = DBusReader([UInt8](repeating: 0, count: 4096))
        #expect(throws: DBusError.self) { try reader.values(signature) }
    }

    @Test("lengths that lie, texts without an end, and truth that is neither")
    func hostileBodies() {
        let bodies: [(String, [UInt8])] = [
            ("s", [255, 255, 255, 255, 65]), ("s", [3, 0, 0, 0, 65, 66, 67]), ("s", [1, 0, 0, 0, 255, 0]),
            ("s", [2, 0, 0, 0, 65, 0, 0]), ("s", [1, 0, 0, 0, 65, 66]), ("ay", [255, 255, 255, 127]),
            ("au", [3, 0, 0, 0, 1, 1, 1, 1]), ("at", [8, 0, 0, 0]), ("b", [2, 0, 0, 0]), ("g", [255, 65]),
            ("u", [1, 2]),
            ("v", [2, 0x79, 0x79, 0, 1, 1]), ("v", [0, 0, 0]), ("(yy)", [1]),
            // A variant of a variant of a …
            ("v", (0..<64).flatMap { _ -> [UInt8] in [1, 0x76, 0] }),
        ]
        for (signature, body) in bodies {
            var reader = DBusReader(body)
            #expect(throws: DBusError.self, "\(signature) \(body)") { try reader.values(signature) }
        }
    }

    @Test func hostileHeaders() throws {
        let good = call.bytes
        func with(_ index: Int, _ byte: UInt8) -> [UInt8] {
            var bytes = good
            bytes[index] = byte
            return bytes
        }
        #expect(throws: DBusError.self) { try DBusMessage.length(with(0, UInt8(ascii: "B"))) }
        #expect(throws: DBusError.self) { try DBusMessage.length(with(3, 2)) }
        #expect(throws: DBusError.self) { try DBusMessage.length(with(7, 255)) }
        #expect(throws: DBusError.self) { try DBusMessage.length(with(15, 255)) }
        #expect(try DBusMessage.length(Array(good.prefix(15))) == nil && DBusMessage.length([]) == nil)
        #expect(throws: DBusError.self) { try DBusMessage.decode(good + [0]) }
        // The path's type is an integer.
        #expect(throws: DBusError.self) { try DBusMessage.decode(with(18, UInt8(ascii: "u"))) }
        #expect(try DBusMessage.decode(with(1, 9)) == nil)
    }

    @Test("no bytes bring it down")
    func mutations() {
        let good = call.bytes
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            _ = try? DBusMessage.decode(bytes)?.arguments()
        }
    }
}

import AgentProtocol
import Testing

struct MessageTests {
    @Test("what is written is read", arguments: Samples.host)
    func host(message: HostMessage) throws {
        let frame = message.frame(request: 99)
        #expect(frame.request == 99)
        #expect(try HostMessage(frame) == message)
    }

    @Test("what is written is read", arguments: Samples.guest)
    func guest(message: GuestMessage) throws {
        let frame = message.frame(request: 99)
        #expect(frame.request == 99)
        #expect(try GuestMessage(frame) == message)
    }

    @Test("the bytes on the wire stay what they are: another form is another version")
    func bytes() {
        #expect(wireVersion == 10)
        #expect(
            HostMessage.start(container: "ab").frame(request: 0x0102).encoded
                == [11, 0, 0, 0, 2, 1, 0, 0, 3, 2, 0, 0, 0, 97, 98])
        let exit = ProcessExit(process: ProcessName("c"), signal: 9, code: 0, oomKilled: true)
        #expect(
            GuestMessage.exited(exit).frame(request: 0).encoded
                == [18, 0, 0, 0, 0, 0, 0, 0, 133, 1, 0, 0, 0, 99, 0, 0, 0, 0, 1, 9, 0, 1])
        #expect(HostMessage.setClock(nanoseconds: 1 << 56).frame(request: 0).payload == [0, 0, 0, 0, 0, 0, 0, 1])
    }

    @Test("a message that ends early is refused, wherever it ends")
    func truncated() {
        for frame in Samples.frames {
            for length in 0..<frame.payload.count {
                var short = frame
                short.payload = Array(frame.payload.prefix(length))
                #expect(refusal(short) == .truncated, "kind \(frame.kind), \(length) bytes")
            }
        }
    }

    @Test func trailingBytes() {
        for frame in Samples.frames {
            var long = frame
            long.payload += [0, 0]
            #expect(refusal(long) == .trailingBytes(2), "kind \(frame.kind)")
        }
    }

    @Test("changed bytes are refused, or are a message that is written and read as the same")
    func mutated() throws {
        var random = SeededGenerator(state: 3)
        var understood = 0
        for _ in 0..<40_000 {
            var frame = Samples.frames.randomElement(using: &random) ?? Samples.frames[0]
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0...frame.payload.count, using: &random)
                let byte =
                    [0, 1, 2, 127, 128, 255, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random)
                    ?? 0
                switch Int.random(in: 0..<3, using: &random) {
                case 0 where place < frame.payload.count: frame.payload[place] = byte
                case 1 where place < frame.payload.count: frame.payload.remove(at: place)
                default: frame.payload.insert(byte, at: place)
                }
            }
            if let message = try? HostMessage(frame) {
                understood += 1
                #expect(try HostMessage(message.frame(request: 0)) == message)
            }
            if let message = try? GuestMessage(frame) {
                understood += 1
                #expect(try GuestMessage(message.frame(request: 0)) == message)
            }
        }
        // Else the test looks at nothing.
        #expect(understood > 1000)
    }

    @Test("noise of any kind is refused or understood, and never traps")
    func noise() {
        var random = SeededGenerator(state: 4)
        for _ in 0..<40_000 {
            let length = Int.random(in: 0...40, using: &random)
            let payload = (0..<length).map { _ in UInt8.random(in: 0...3, using: &random) }
            let frame = Frame(request: 0, kind: .random(in: 0...255, using: &random), payload: payload)
            _ = try? HostMessage(frame)
            _ = try? GuestMessage(frame)
        }
    }

    @Test("each side knows its own kinds, and no other")
    func kinds() {
        for kind in UInt8.min ... .max {
            let frame = Frame(request: 0, kind: kind, payload: [])
            let host = #expect(throws: WireError.self) {
                if kind != 7 { _ = try HostMessage(frame) } else { throw WireError.truncated }
            }
            #expect((host == .unknownKind(kind)) == !(1...14).contains(kind))
            let guest = #expect(throws: WireError.self) {
                if kind != 130 { _ = try GuestMessage(frame) } else { throw WireError.truncated }
            }
            #expect((guest == .unknownKind(kind)) == !(129...139).contains(kind))
        }
    }

    @Test(arguments: [
        (WireError.truncated, "the message is cut short"), (.trailingBytes(3), "3 bytes too many"),
        (.tooLong(field: "id", length: 9, limit: 8), "id has 9 bytes, at most 8 are allowed"),
        (.unknownKind(9), "unknown kind of message 9"), (.badValue(field: "x"), "x has a value that is not allowed"),
        (.badText(field: "x"), "x is not UTF-8 or contains NUL"),
    ])
    func words(error: WireError, text: String) { #expect(error.description == text) }
}

import Glibc
import JSON
import LinuxSys
import Testing

@testable import Runtime

struct OutgoingMessagesTests {
    private func pair() throws -> (outgoing: OutgoingMessages, ours: SharedDescriptor, theirs: SharedDescriptor) {
        let (first, second) = try Sockets.pair(.packets, nonBlocking: true).split()
        let ours = SharedDescriptor(FileDescriptor(owning: first))
        return (OutgoingMessages(ours), ours, SharedDescriptor(FileDescriptor(owning: second)))
    }

    private func receive(_ socket: SharedDescriptor) throws -> [UInt8] {
        try Sockets.receiveMessage(upTo: ControlChannel.longest, descriptors: 0, from: socket.descriptor).0
    }

    private func message(_ number: Int) -> [UInt8] { Array("\(number) ".utf8) + [UInt8](repeating: 65, count: 50_000) }

    @Test("what a socket does not take waits for it, in its order")
    func order() throws {
        let (outgoing, ours, theirs) = try pair()
        let loop = try EventLoop()
        let token = try loop.watch(ours.raw, []) { _ in outgoing.flush() }
        var waits: [Bool] = []
        outgoing.awaitsRoom = { awaits in
            waits.append(awaits)
            try? loop.change(token, to: awaits ? .writable : [])
        }
        for number in 0..<60 { outgoing.send(message(number)) }
        #expect(outgoing.backlog > 2_000_000)
        #expect(waits.last == true)
        for number in 0..<60 {
            var got = try? receive(theirs)
            if got == nil {
                try loop.turn(atMostMilliseconds: 1000)
                got = try receive(theirs)
            }
            let isIt = got == message(number)
            #expect(isIt, "\(number)")
        }
        #expect(outgoing.backlog == 0)
        #expect(waits.last == false)
        outgoing.send([1])
        let last = try receive(theirs)
        #expect(last == [1])
    }

    @Test("somebody who takes nothing sees an end behind what there was, and so does the sender")
    func bound() throws {
        let (outgoing, ours, theirs) = try pair()
        for number in 0..<200 {
            outgoing.send(message(number))
            #expect(outgoing.backlog <= OutgoingMessages.most)
        }
        #expect(outgoing.backlog == 0)
        let own = try receive(ours)
        #expect(own.isEmpty)
        var count = 0
        while try !receive(theirs).isEmpty { count += 1 }
        #expect((1..<20).contains(count))
    }

    @Test("the last words are waited for, though not for ever")
    func drain() throws {
        let (outgoing, _, theirs) = try pair()
        for number in 0..<10 { outgoing.send(message(number)) }
        let before = Clock.monotonicNanoseconds()
        outgoing.drain(milliseconds: 200)
        #expect(Clock.monotonicNanoseconds() - before >= 200_000_000)
        while try !receive(theirs).isEmpty {}
        // Nobody is there any more, and that is no error.
        outgoing.send([1])
        outgoing.drain(milliseconds: 1000)
    }

    @Test("values are told in groups that a message has room for")
    func parts() {
        #expect(ControlChannel.parts([]).isEmpty)
        let values = (0..<400).map { _ in JSONValue.string(String(repeating: "\u{1}", count: 1000)) }
        let parts = ControlChannel.parts(values)
        #expect(Array(parts.joined()) == values)
        for part in parts {
            #expect(ControlEvent.value(.array(part)).json.bytes().count < ControlChannel.longest)
        }
        // One that is too long is alone.
        let long = JSONValue.string(String(repeating: "x", count: 100_000))
        #expect(ControlChannel.parts([long, long]).count == 2)
    }
}

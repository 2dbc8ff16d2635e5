import CLinux
import LinuxSys
import Testing

@testable import AgentCore

@Suite struct RelayTests {
    private let loop: EventLoop
    private let source: (reader: SharedDescriptor, writer: SharedDescriptor)

    init() throws {
        loop = try EventLoop()
        source = try Pipe.make()
        try source.reader.descriptor.setNonBlocking()
        Signals.ignore(SIGPIPE)
    }

    /// Turns the loop until `done`, a second at most.
    private func turn(until done: () -> Bool) throws {
        for _ in 0..<1000 where !done() { try loop.turn(atMostMilliseconds: 1) }
    }

    @Test func carriesAndCloses() throws {
        let sink = try Pipe.make()
        try sink.writer.descriptor.setNonBlocking()
        var finished = 0
        let descriptor = try sink.writer.descriptor.duplicate()
        let relay = try Relay(loop, from: source.reader, to: SharedDescriptor(descriptor), ending: .close) {
            finished += 1
        }
        try source.writer.descriptor.writeAll(Array("hello".utf8))
        try turn { false }
        #expect(try sink.reader.descriptor.read(upTo: 10) == Array("hello".utf8))
        #expect(!relay.isFinished && finished == 0)
    }

    @Test func endOfSourceEndsTheSink() throws {
        let pair = try Sockets.pair(nonBlocking: true)
        let (ours, theirs) = pair.split()
        let peer = FileDescriptor(owning: theirs)
        try peer.setNonBlocking(false)
        var finished = false
        let descriptor = try source.reader.descriptor.duplicate()
        let sink = SharedDescriptor(FileDescriptor(owning: ours))
        let relay = try Relay(loop, from: SharedDescriptor(descriptor), to: sink, ending: .shutdown) { finished = true }
        try source.writer.descriptor.writeAll([1, 2, 3])
        relay.drain()
        try turn { finished }
        #expect(finished && relay.isFinished)
        #expect(try peer.readAll(limit: 10) == [1, 2, 3])
    }

    /// A sink that takes nothing stops the source from being read, and nothing is lost or doubled.
    @Test func backPressure() throws {
        let pair = try Sockets.pair(nonBlocking: true)
        let (ours, theirs) = pair.split()
        let peer = FileDescriptor(owning: theirs)
        try source.writer.descriptor.setNonBlocking()
        let sink = SharedDescriptor(FileDescriptor(owning: ours))
        let relay = try Relay(loop, from: source.reader, to: sink, ending: .shutdown) {}
        var sent = 0
        var received: [UInt8] = []
        let pattern = (0..<4096).map { UInt8(truncatingIfNeeded: $0 / 7) }
        func fill() {
            while let count = try? source.writer.descriptor.write(pattern, from: sent % 4096) { sent += count }
        }
        for _ in 0..<20 {
            fill()
            try loop.turn(atMostMilliseconds: 1)
        }
        let stuck = sent
        fill()
        try loop.turn(atMostMilliseconds: 1)
        #expect(sent == stuck, "a full sink must stop the writer")
        while let bytes = try? peer.read(upTo: 65536), !bytes.isEmpty {
            received += bytes
            try loop.turn(atMostMilliseconds: 1)
        }
        #expect(received.count == sent)
        #expect(received.enumerated().allSatisfy { $1 == pattern[$0 % 4096] })
        relay.cancel()
    }

    @Test func aReaderThatLeaves() throws {
        var sink: (reader: SharedDescriptor, writer: SharedDescriptor)? = try Pipe.make()
        guard let writer = sink?.writer else { return }
        try writer.descriptor.setNonBlocking()
        var finished = false
        let descriptor = try writer.descriptor.duplicate()
        let relay = try Relay(loop, from: source.reader, to: SharedDescriptor(descriptor), ending: .close) {
            finished = true
        }
        sink = nil
        // Nothing has been written: the leaving itself is noticed.
        try turn { finished }
        #expect(relay.isFinished && sink == nil)
    }
}

import Glibc
import LinuxSys
import Testing

@testable import Runtime

/// A way for bytes; the test is at its other end.
enum Way: CaseIterable, Sendable { case pipe, socket, file }

/// The test's end of a way, and the relay's, which blocks as a caller's does.
struct Ends {
    let outer: SharedDescriptor?
    let inner: SharedDescriptor

    init(_ way: Way, source: Bool, file: String) throws {
        switch way {
        case .pipe:
            let pipe = try Pipes.make()
            let (reader, writer) = (
                SharedDescriptor(try pipe.reader.duplicate()), SharedDescriptor(try pipe.writer.duplicate())
            )
            (outer, inner) = source ? (writer, reader) : (reader, writer)
        case .socket:
            let (first, second) = try Sockets.pair().split()
            outer = SharedDescriptor(FileDescriptor(owning: first))
            inner = SharedDescriptor(FileDescriptor(owning: second))
        case .file:
            outer = nil
            inner = SharedDescriptor(try FileDescriptor.open(file, source ? O_RDONLY : O_WRONLY | O_CREAT, mode: 0o600))
        }
        try outer?.descriptor.setNonBlocking()
    }
}

/// Bytes that are nowhere the same for long.
func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(state: seed)
    let block = (0..<8191).map { _ in UInt8.random(in: 0...255, using: &random) }
    var bytes: [UInt8] = []
    while bytes.count < count { bytes += block }
    return Array(bytes.prefix(count))
}

struct RelayTests {
    init() { Signals.ignore(SIGPIPE) }

    private func same(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && memcmp(left, right, left.count) == 0
    }

    @Test("8 MiB come through whole, in pieces of any size, and then the end", arguments: Way.allCases, Way.allCases)
    func through(from: Way, to: Way) throws {
        try inScratch { path in
            let data = pattern(8 << 20, seed: 1)
            if from == .file {
                try FileDescriptor.open(path + "/in", O_WRONLY | O_CREAT, mode: 0o600).writeAll(data)
            }
            let transfer = try Transfer(data, from: from, to: to, path: path)
            try transfer.run()
            if to == .file { transfer.received = try File.read(path + "/out", limit: 16 << 20) }
            #expect(transfer.end == .finished)
            #expect(transfer.moved == data.count)
            #expect(same(transfer.received, data))
        }
    }

    /// A relay with somebody at each end who takes and gives as it comes.
    private final class Transfer {
        let loop: EventLoop
        let data: [UInt8]
        var given = 0
        var received: [UInt8] = []
        var moved = 0
        var end: Relay.End?
        private var source: Ends?
        private var sink: Ends?
        private var relay: Relay?
        private var random = SeededGenerator(state: 2)
        private var sourceToken: EventLoop.Token = 0

        init(_ data: [UInt8], from: Way, to: Way, path: String) throws {
            self.data = data
            loop = try EventLoop()
            let source = try Ends(from, source: true, file: path + "/in")
            let sink = try Ends(to, source: false, file: path + "/out")
            self.source = source
            self.sink = sink
            relay = try Relay(
                loop: loop, from: .inherited(source.inner.raw, writing: false),
                to: .inherited(sink.inner.raw, writing: true),
                moved: { [unowned self] in moved += $0 }, ended: { [unowned self] in ended($0) })
            if let outer = source.outer {
                sourceToken = try loop.watch(outer.raw, .writable) { [unowned self] _ in give() }
            }
            if let outer = sink.outer { try loop.watch(outer.raw, .readable) { [unowned self] _ in take(outer) } }
        }

        private func size() -> Int {
            let most = [16, 4096, 300_000].randomElement(using: &random) ?? 1
            return Int.random(in: 1...most, using: &random)
        }

        private func give() {
            guard let outer = source?.outer else { return }
            let piece = Array(data[given..<min(data.count, given + size())])
            given += (try? outer.descriptor.write(piece)) ?? 0
            guard given == data.count else { return }
            loop.unwatch(sourceToken)
            source = nil
        }

        private func take(_ outer: SharedDescriptor) {
            received += (try? outer.descriptor.read(upTo: size())) ?? []
            stopWhenDone()
        }

        private func ended(_ end: Relay.End) {
            self.end = end
            stopWhenDone()
        }

        private func stopWhenDone() {
            if end != nil, sink?.outer == nil || received.count >= data.count { loop.stop() }
        }

        func run() throws {
            loop.after(milliseconds: 60_000) { [unowned self] in loop.stop() }
            try loop.run()
        }
    }

    /// Milliseconds that a turn of at most 40 takes: less when something wakes the loop.
    private func turnTime(_ loop: EventLoop) throws -> UInt64 {
        let begin = Clock.monotonicNanoseconds()
        try loop.turn(atMostMilliseconds: 40)
        return (Clock.monotonicNanoseconds() - begin) / 1_000_000
    }

    @Test("while nobody takes, no more is read than one buffer, and the loop sleeps", arguments: [Way.pipe, .socket])
    func backPressure(way: Way) throws {
        let loop = try EventLoop()
        var source: Ends? = try Ends(way, source: true, file: "")
        let sink = try Ends(.pipe, source: false, file: "")
        var moved = 0
        var end: Relay.End?
        let relay = try Relay(
            loop: loop, from: .inherited(try #require(source).inner.raw, writing: false),
            to: .inherited(sink.inner.raw, writing: true), moved: { moved += $0 }, ended: { end = $0 })
        let piece = pattern(4096, seed: 3)
        var given = 0
        for _ in 0..<2000 {
            while let count = try? source?.outer?.descriptor.write(piece), count > 0 { given += count }
            try loop.turn(atMostMilliseconds: 0)
        }
        // What stands in the source's own buffer (a socket's is 208 KiB by default), the relay's, and the sink's pipe.
        let most = (way == .pipe ? 64 : 512) + 256 + 64
        #expect(given <= most * 1024)
        #expect(moved <= 64 * 1024)
        #expect(try turnTime(loop) >= 39)
        // Nor does a source that has hung up keep it awake.
        source = nil
        #expect(try turnTime(loop) >= 39)
        #expect(end == nil)
        // And then all of it comes.
        var received: [UInt8] = []
        for _ in 0..<10_000 where end == nil || received.count < given {
            received += (try? sink.outer?.descriptor.read(upTo: 5000)) ?? []
            try loop.turn(atMostMilliseconds: 0)
        }
        #expect(end == .finished && moved == given && received.count == given)
        withExtendedLifetime(relay) {}
    }

    @Test("a sink that nobody reads ends the relay", arguments: [Way.pipe, .socket])
    func sinkGone(way: Way) throws {
        let loop = try EventLoop()
        let source = try Ends(.pipe, source: true, file: "")
        let sink = try closedSink(way)
        var ends: [Relay.End] = []
        let relay = try Relay(loop: loop, from: .inherited(source.inner.raw, writing: false), to: sink) {
            ends.append($0)
        }
        _ = try source.outer?.descriptor.write([1])
        try loop.turn(atMostMilliseconds: 1000)
        try loop.turn(atMostMilliseconds: 0)
        #expect(ends == [.sinkGone])
        withExtendedLifetime(relay) {}
    }

    /// The writing end of what has no reader any more.
    private func closedSink(_ way: Way) throws -> Endpoint {
        let ends = try Ends(way, source: false, file: "")
        return try Endpoint.inherited(ends.inner.raw, writing: true)
    }

    @Test("a sink that goes while it is full ends the relay")
    func sinkGoneWhileFull() throws {
        let loop = try EventLoop()
        let source = try Ends(.pipe, source: true, file: "")
        var sink: Ends? = try Ends(.pipe, source: false, file: "")
        var ends: [Relay.End] = []
        let relay = try Relay(
            loop: loop, from: .inherited(source.inner.raw, writing: false),
            to: .inherited(try #require(sink).inner.raw, writing: true)
        ) { ends.append($0) }
        for _ in 0..<50 {
            _ = try? source.outer?.descriptor.write(pattern(65536, seed: 1))
            try loop.turn(atMostMilliseconds: 0)
        }
        #expect(ends == [])
        sink = nil
        try loop.turn(atMostMilliseconds: 1000)
        #expect(ends == [.sinkGone])
        withExtendedLifetime(relay) {}
    }

    @Test("an empty source ends at once, a stopped relay never")
    func ends() throws {
        let loop = try EventLoop()
        let null = try FileDescriptor.open("/dev/null", O_RDWR)
        var ends: [Relay.End] = []
        let relay = try Relay(
            loop: loop, from: .inherited(null.raw, writing: false), to: .inherited(null.raw, writing: true)
        ) { ends.append($0) }
        let stopped = try Relay(
            loop: loop, from: .inherited(null.raw, writing: false), to: .inherited(null.raw, writing: true)
        ) { _ in Issue.record("a stopped relay ended") }
        stopped.stop()
        try loop.turn(atMostMilliseconds: 1000)
        try loop.turn(atMostMilliseconds: 0)
        #expect(ends == [.finished])
        withExtendedLifetime((relay, stopped)) {}
    }

    @Test("a sink without room is gone for good")
    func noSpace() throws {
        let loop = try EventLoop()
        let zero = try FileDescriptor.open("/dev/zero", O_RDONLY)
        let full = try FileDescriptor.open("/dev/full", O_WRONLY)
        var ends: [Relay.End] = []
        let relay = try Relay(
            loop: loop, from: .inherited(zero.raw, writing: false), to: .inherited(full.raw, writing: true)
        ) { ends.append($0) }
        try loop.turn(atMostMilliseconds: 1000)
        #expect(ends == [.sinkGone])
        withExtendedLifetime(relay) {}
    }
}

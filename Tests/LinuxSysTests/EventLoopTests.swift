import Glibc
import LinuxSys
import Testing

struct EventLoopTests {
    @Test("run goes on until stop, and tells what is ready as long as it is")
    func levelTriggered() throws {
        let loop = try EventLoop()
        let pipe = try Pipes.make()
        try pipe.writer.writeAll([1, 2, 3])
        var seen: [UInt8] = []
        let reader = pipe.reader.raw
        try loop.watch(reader, .readable) { ready in
            #expect(ready == .readable)
            var byte: UInt8 = 0
            #expect(read(reader, &byte, 1) == 1)
            seen.append(byte)
            if seen.count == 3 { loop.stop() }
        }
        try loop.run()
        #expect(seen == [1, 2, 3])
        try loop.turn(atMostMilliseconds: 0)
        #expect(seen.count == 3)
    }

    @Test("a watch asks for what it is changed to")
    func change() throws {
        let loop = try EventLoop()
        let pair = try Sockets.pair()
        var seen: [ReadyEvents] = []
        let token = try loop.watch(pair.first.raw, .readable) { seen.append($0) }
        try loop.turn(atMostMilliseconds: 0)
        #expect(seen == [])
        try loop.change(token, to: [.readable, .writable])
        try loop.turn(atMostMilliseconds: 0)
        #expect(seen == [.writable])
        try pair.second.writeAll([1])
        try loop.change(token, to: [])
        try loop.turn(atMostMilliseconds: 0)
        #expect(seen.count == 1)
        try loop.change(token, to: .readable)
        try loop.turn(atMostMilliseconds: 0)
        #expect(seen == [.writable, .readable])
    }

    @Test("a paused watch still hears of the hang-up")
    func hangUp() throws {
        let loop = try EventLoop()
        let pair = try Sockets.pair()
        var seen: ReadyEvents = []
        try loop.watch(pair.first.raw, []) { seen = $0 }
        try Sockets.shutdownBoth(pair.second)
        try loop.turn(atMostMilliseconds: 0)
        #expect(seen.contains(.hangUp))
    }

    @Test("a regular file is ready at every turn, but not while it is paused or gone")
    func regularFile() throws {
        let loop = try EventLoop()
        let file = try FileDescriptor.open("/proc/self/exe", O_RDONLY)
        var count = 0
        let token = try loop.watch(file.raw, .readable) { ready in
            #expect(ready == .readable)
            count += 1
        }
        // Not even a turn that may wait for ever does.
        try loop.turn()
        try loop.turn()
        #expect(count == 2)
        try loop.change(token, to: [])
        try loop.turn(atMostMilliseconds: 0)
        #expect(count == 2)
        try loop.change(token, to: .readable)
        try loop.turn()
        #expect(count == 3)
        loop.unwatch(token)
        try loop.turn(atMostMilliseconds: 0)
        #expect(count == 3)
    }

    @Test("a regular file may unwatch itself and others in its handler")
    func regularFileUnwatch() throws {
        let loop = try EventLoop()
        let file = try FileDescriptor.open("/proc/self/exe", O_RDONLY)
        let copy = try file.duplicate()
        var tokens: [EventLoop.Token] = []
        var count = 0
        for number in [file.raw, copy.raw] {
            tokens.append(
                try loop.watch(number, .readable) { _ in
                    count += 1
                    for token in tokens { loop.unwatch(token) }
                })
        }
        try loop.turn()
        try loop.turn(atMostMilliseconds: 0)
        #expect(count == 1)
    }

    @Test("a timer fires while a file is always ready")
    func timerBesideFile() throws {
        let loop = try EventLoop()
        let file = try FileDescriptor.open("/proc/self/exe", O_RDONLY)
        try loop.watch(file.raw, .readable) { _ in }
        loop.after(milliseconds: 5) { loop.stop() }
        try loop.run()
    }

    @Test("a watch that a handler removed is not called any more, though its event was fetched")
    func unwatchInHandler() throws {
        let loop = try EventLoop()
        let one = try Pipes.make()
        let two = try Pipes.make()
        try one.writer.writeAll([1])
        try two.writer.writeAll([1])
        var tokens: [CInt: EventLoop.Token] = [:]
        var called: [CInt] = []
        var anew = 0
        for (number, other) in [(one.reader.raw, two.reader.raw), (two.reader.raw, one.reader.raw)] {
            tokens[number] = try loop.watch(number, .readable) { _ in
                called.append(number)
                if called.count > 1 { return }
                if let token = tokens[other] { loop.unwatch(token) }
                // Nor does the event go to a new watch of the same number.
                _ = try? loop.watch(other, .readable) { _ in anew += 1 }
            }
        }
        try loop.turn()
        #expect(called.count == 1)
        #expect(anew == 0)
        try loop.turn()
        #expect(called.count == 2 && called[0] == called[1])
        #expect(anew == 1)
    }

    @Test("a handler may remove its own watch")
    func unwatchItself() throws {
        let loop = try EventLoop()
        let pipe = try Pipes.make()
        try pipe.writer.writeAll([1])
        var token: EventLoop.Token = 0
        var count = 0
        token = try loop.watch(pipe.reader.raw, .readable) { _ in
            count += 1
            loop.unwatch(token)
        }
        try loop.turn()
        try loop.turn(atMostMilliseconds: 0)
        #expect(count == 1)
        loop.unwatch(token)
    }

    @Test("all of many ready descriptors have their turn")
    func many() throws {
        let loop = try EventLoop()
        var descriptors: [EventHolder] = []
        var seen: Set<Int> = []
        for index in 0..<100 {
            let holder = EventHolder(try EventDescriptor())
            try holder.event.signal()
            descriptors.append(holder)
            try loop.watch(holder.event.raw, .readable) { _ in
                _ = try? holder.event.drain()
                seen.insert(index)
            }
        }
        for _ in 0..<10 where seen.count < 100 { try loop.turn(atMostMilliseconds: 0) }
        #expect(seen.count == 100)
    }

    @Test func timersInOrder() throws {
        let loop = try EventLoop()
        var fired: [String] = []
        let begin = Clock.monotonicNanoseconds()
        loop.after(milliseconds: 30) {
            fired.append("late")
            loop.stop()
        }
        loop.after(milliseconds: 1) { fired.append("early") }
        let cancelled = loop.after(milliseconds: 2) { fired.append("cancelled") }
        loop.cancel(cancelled)
        try loop.run()
        #expect(fired == ["early", "late"])
        #expect(Clock.monotonicNanoseconds() - begin >= 30_000_000)
    }

    @Test("a timer may cancel one that is due in the same turn, and set another")
    func timersInTimers() throws {
        let loop = try EventLoop()
        var fired: [String] = []
        var second: EventLoop.Token = 0
        loop.after(milliseconds: 0) {
            fired.append("first")
            loop.cancel(second)
            loop.after(milliseconds: 0) { fired.append("third") }
        }
        second = loop.after(milliseconds: 1) { fired.append("second") }
        usleep(5000)
        try loop.turn(atMostMilliseconds: 0)
        #expect(fired == ["first"])
        try loop.turn(atMostMilliseconds: 50)
        #expect(fired == ["first", "third"])
    }

    @Test("a turn waits no longer than it is told, and not at all for a far timer")
    func limit() throws {
        let loop = try EventLoop()
        loop.after(milliseconds: 60_000) {}
        let begin = Clock.monotonicNanoseconds()
        try loop.turn(atMostMilliseconds: 20)
        let passed = Clock.monotonicNanoseconds() - begin
        #expect(passed >= 19_000_000 && passed < 10_000_000_000)
    }

    @Test func notWatchable() throws {
        let loop = try EventLoop()
        #expect(errno { _ = try loop.watch(-1, .readable) { _ in } } == .badFileDescriptor)
        let pipe = try Pipes.make()
        try loop.watch(pipe.reader.raw, .readable) { _ in }
        #expect(errno { _ = try loop.watch(pipe.reader.raw, .readable) { _ in } } == .fileExists)
    }

    @Test func eventCounts() throws {
        let event = try EventDescriptor()
        #expect(try event.drain() == 0)
        try event.signal()
        try event.signal()
        #expect(try event.drain() == 2)
        var full = UInt64.max - 1
        #expect(write(event.raw, &full, 8) == 8)
        try event.signal()
        #expect(try event.drain() == UInt64.max - 1)
    }
}

private final class EventHolder {
    let event: EventDescriptor
    init(_ event: consuming EventDescriptor) { self.event = event }
}

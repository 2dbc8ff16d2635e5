import LinuxSys
import Testing
import Virtio

@testable import VirtioVsock

/// Half close, close and reset, in both directions, with bytes on their way.
@Suite struct EndingTests {
    @Test func hostEndsItsHalf() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        _ = try socket.write([1, 2, 3])
        try socket.shutdownWriting()
        let packets = try guest.receive()
        #expect(packets.map(\.operation) == [.readWrite, .shutdown])
        #expect(packets.last?.header.flags == ShutdownFlags.send.rawValue)
        // The other half goes on.
        try guest.send(end.packet(.readWrite), [4, 5])
        #expect(try socket.read() == [4, 5])
        try guest.send(end.shutdown(.both))
        #expect(try socket.read() == [])
        #expect(try guest.receive().map(\.operation) == [.reset])
    }

    @Test func guestEndsItsHalf() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        try guest.post(end.packet(.readWrite), [9])
        try guest.send(end.shutdown(.send))
        #expect(try socket.read(upTo: 1) == [9])
        #expect(try socket.read() == [])
        _ = try socket.write([1, 2])
        #expect(try guest.receive().map(\.payload) == [[1, 2]])
        socket.close()
        let last = try #require(try guest.receive().last)
        #expect(last.operation == .shutdown && last.header.flags == ShutdownFlags.both.rawValue)
    }

    @Test func dataAfterItsEndIsARefusal() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        try guest.post(end.shutdown(.send))
        try guest.send(end.packet(.readWrite), [1])
        #expect(try guest.receive().map(\.operation) == [.reset])
        #expect(try socket.read() == [])
    }

    @Test func hostClosesAndTheGuestStillGetsEverything() throws {
        let guest = try FakeGuest(rxPayload: 1000)
        let (socket, _) = try guest.connected()
        let sent = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        #expect(try socket.write(sent) == sent.count)
        socket.close()
        var got: [UInt8] = []
        var last: Packet?
        while true {
            let packets = try guest.receive()
            if packets.isEmpty { break }
            for packet in packets { got += packet.payload }
            last = packets.last
        }
        #expect(got == sent)
        #expect(last?.operation == .shutdown && last?.header.flags == ShutdownFlags.both.rawValue)
    }

    @Test func guestSendsToAHostThatHasGone() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        socket.close()
        _ = try guest.receive()
        // On its way before the guest knew: swallowed, and its credit comes back.
        for _ in 0..<20 { try guest.send(end.packet(.readWrite), [UInt8](repeating: 1, count: 60_000)) }
        #expect(try guest.receive().contains { $0.operation == .creditUpdate && $0.header.forwardCount > 0 })
        try guest.send(end.packet(.reset))
        #expect(try guest.receive().isEmpty)
    }

    @Test(arguments: [true, false]) func whatTheGuestSentBeforeItClosedArrives(cleanly: Bool) throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        // More than the socket takes, so that some of it waits here; all of it within the window.
        let chunk = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 * 3) }
        var sent: [UInt8] = []
        while sent.count + chunk.count <= 240_000 {
            try guest.send(end.packet(.readWrite), chunk)
            sent += chunk
        }
        if cleanly { try guest.send(end.shutdown(.both)) }
        try guest.send(end.packet(.reset))
        var got: [UInt8] = []
        while true {
            guest.step()
            guard let part = try socket.read(upTo: 10_000) else { Issue.record("it stopped"); break }
            if part.isEmpty { break }
            got += part
        }
        #expect(got == sent)
        #expect(try guest.receive().allSatisfy { $0.operation == .creditUpdate })
    }

    @Test func guestClosesWhileTheHostIsSlow() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        var sent = 0
        while guest.counters.bytesBuffered == 0 {
            try guest.send(end.packet(.readWrite), [UInt8](repeating: 7, count: 50_000))
            sent += 50_000
        }
        try guest.send(end.shutdown(.both))
        // The RST says that all is delivered, and it is not.
        #expect(try guest.receive().allSatisfy { $0.operation == .creditUpdate })
        var got = 0
        while let part = try socket.read(upTo: 9_999), !part.isEmpty {
            got += part.count
            guest.step()
        }
        #expect(got == sent)
        #expect(try guest.receive().map(\.operation) == [.reset])
    }

    @Test func guestReadsNoMore() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        try guest.send(end.shutdown(.receive))
        #expect(throws: Errno.brokenPipe) { try socket.write([1]) }
        try guest.send(end.packet(.readWrite), [1])
        #expect(try socket.read() == [1])
    }

    @Test func driverStartsAnew() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        let waiting = try guest.client(port: 5)
        _ = try guest.receive()
        try guest.send(end.packet(.readWrite), [1])
        _ = guest.device.deactivate()
        try guest.restart()
        #expect(try socket.read() == [1])
        #expect(try socket.read() == [])
        #expect(try waiting.read(upTo: 4) == [UInt8(Errno.connectionReset.rawValue), 0, 0, 0])
        try guest.send(end.packet(.readWrite), [1])
        #expect(try guest.receive().map(\.operation) == [.reset])
    }

    @Test func aPauseEndsNothing() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        let positions = guest.device.deactivate()
        _ = try socket.write([5, 6])
        guest.step()
        try guest.device.activate(guest.setup(positions[0]?.nextAvailable, positions[1]?.nextAvailable))
        #expect(try guest.receive().map(\.payload) == [[5, 6]])
        try guest.send(end.packet(.readWrite), [1])
        #expect(try socket.read() == [1])
    }

    @Test func lastWords() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        // Available, but the device has not been told: QEMU stops the queues and closes.
        try guest.post(end.packet(.readWrite), [1, 2, 3])
        _ = guest.device.deactivate()
        guest.device.finish(withinMilliseconds: 100)
        #expect(try socket.read() == [1, 2, 3])
        #expect(try socket.read() == [])
    }

    @Test func aBrokenQueueLeavesNobodyWaiting() throws {
        let guest = try FakeGuest()
        let (socket, _) = try guest.connected()
        let client = try guest.client(port: 5)
        try guest.tx.setAvailableIndex(30000)
        guest.step()
        guard case .broken(.availableIndexJump) = guest.lastRun else {
            Issue.record("\(guest.lastRun)")
            return
        }
        #expect(!guest.isActive)
        #expect(try socket.read() == [])
        _ = try client.read(upTo: 4)
        #expect(try client.read(upTo: 4) == [])
    }
}

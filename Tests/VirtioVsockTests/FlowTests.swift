import LinuxSys
import Testing
import Virtio

@testable import VirtioVsock

/// Credit, back-pressure, and many bytes.
@Suite struct FlowTests {
    @Test func theGuestsCreditBounds() throws {
        let guest = try FakeGuest(rxPayload: 300)
        var (socket, end) = try guest.connected(window: 1000)
        _ = try socket.write([UInt8](repeating: 1, count: 5000))
        var packets = try guest.receive()
        #expect(packets.reduce(0) { $0 + $1.payload.count } == 1000)
        #expect(packets.filter { $0.operation == .creditRequest }.count == 1)
        // An answer that grants nothing is not asked again.
        try guest.send(end.packet(.creditUpdate))
        #expect(try guest.receive().isEmpty)
        end.forwarded = 400
        try guest.send(end.packet(.creditUpdate))
        packets = try guest.receive()
        #expect(packets.reduce(0) { $0 + $1.payload.count } == 400)
        #expect(packets.filter { $0.operation == .creditRequest }.count == 1)
    }

    @Test func creditRequestIsAnswered() throws {
        let guest = try FakeGuest()
        let (_socket, end) = try guest.connected()
        try guest.post(end.packet(.readWrite), [1, 2, 3])
        try guest.send(end.packet(.creditRequest))
        let answer = try #require(try guest.receive().last)
        #expect(answer.operation == .creditUpdate)
        #expect(answer.header.forwardCount == 3 && answer.header.bufferSize == ConnectionTable.wideWindow)
        _ = _socket
    }

    @Test func theGuestOverrunsItsCredit() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        var resets = 0
        for _ in 0..<100 {
            try guest.send(end.packet(.readWrite), [UInt8](repeating: 1, count: 60_000))
            resets += try guest.receive().filter { $0.operation == .reset }.count
            if resets > 0 { break }
        }
        #expect(resets == 1)
        // What the socket took is there, and then the end.
        while let part = try socket.read(), !part.isEmpty {}
        #expect(try socket.read() == [])
    }

    @Test func noBuffersNoReading() throws {
        let guest = try FakeGuest(rxPayload: 1000)
        let (socket, _) = try guest.connected(window: 1 << 20)
        var written = 0
        var taken = 0
        // Every buffer is held: after 32 of them the socket fills up and nothing grows here.
        while true {
            let count = try socket.write([UInt8](repeating: 3, count: 10_000))
            written += count
            taken += try guest.receive(holding: true).reduce(0) { $0 + $1.payload.count }
            if count == 0 { break }
        }
        #expect(taken == 32 * 1000)
        #expect(written < 1_000_000)
        while taken < written {
            try guest.giveBack()
            taken += try guest.receive(holding: true).reduce(0) { $0 + $1.payload.count }
        }
        #expect(taken == written)
    }

    @Test func resetsWaitForBuffersAndPacketsForResets() throws {
        let guest = try FakeGuest(activate: false)
        try guest.activate(buffers: 0)
        for round: UInt32 in 0..<200 where try guest.canSend() {
            try guest.send(GuestEnd(guest: round, host: 5).packet(.readWrite))
        }
        // 64 were answered, 32 more are in the queue; the device takes no more.
        #expect(try !guest.canSend())
        var ports: [UInt32] = []
        for slot: UInt16 in 0..<32 { try guest.offerBuffer(slot) }
        while true {
            let packets = try guest.receive()
            if packets.isEmpty { break }
            ports += packets.map(\.header.destinationPort)
        }
        #expect(ports == Array(0..<UInt32(ports.count)))
        #expect(ports.count == VsockSwitch.mostStrays + 32)
        #expect(try guest.canSend())
    }

    @Test func oneStuckReaderStopsNobodyElse() throws {
        let guest = try FakeGuest()
        let (stuck, stuckEnd) = try guest.connected(port: 1)
        let (other, otherEnd) = try guest.connected(port: 2)
        for _ in 0..<4 { try guest.send(stuckEnd.packet(.readWrite), [UInt8](repeating: 1, count: 60_000)) }
        for _ in 0..<100 {
            try guest.send(otherEnd.packet(.readWrite), [UInt8](repeating: 2, count: 30_000))
            #expect(try other.read()?.count == 30_000)
        }
        _ = stuck
    }

    /// Ten megabytes each way at once, in pieces of every size, over a small and changing window.
    @Test(arguments: [1, 2]) func tenMegabytesEachWay(seed: UInt64) throws {
        let total = 10 << 20
        var random = SeededGenerator(seed)
        let guest = try FakeGuest(rxPayload: UInt32.random(in: 500...4096, using: &random))
        var (socket, end) = try guest.connected(window: 20_000)
        func byte(_ index: Int, _ salt: Int) -> UInt8 { UInt8(truncatingIfNeeded: (index &+ salt) &* 0x9E37 >> 7) }
        var fromHost = 0, atGuest = 0, fromGuest = 0, atHost = 0
        var granted = 0, forwardedByDevice = 0
        var idle = 0
        while atGuest < total || atHost < total {
            let before = atGuest + atHost + fromGuest + fromHost
            if fromHost < total, Bool.random(using: &random) {
                let count = min(Int.random(in: 1...40_000, using: &random), total - fromHost)
                fromHost += try socket.write((0..<count).map { byte(fromHost + $0, 1) })
            }
            if fromGuest < total, try guest.canSend() {
                let room = Int(ConnectionTable.wideWindow) - (fromGuest - forwardedByDevice)
                let count = min(Int.random(in: 0...65536, using: &random), room, total - fromGuest)
                if count > 0 {
                    try guest.post(end.packet(.readWrite), (0..<count).map { byte(fromGuest + $0, 2) })
                    fromGuest += count
                }
            }
            for packet in try guest.receive() {
                forwardedByDevice = Int(packet.header.forwardCount)
                for (offset, value) in packet.payload.enumerated() where value != byte(atGuest + offset, 1) {
                    Issue.record("byte \(atGuest + offset) to the guest")
                    return
                }
                atGuest += packet.payload.count
            }
            if Int.random(in: 0..<3, using: &random) == 0, atGuest != granted, try guest.canSend() {
                granted = atGuest
                end.forwarded = UInt32(truncatingIfNeeded: granted)
                end.window = UInt32.random(in: 10_000...60_000, using: &random)
                try guest.send(end.packet(.creditUpdate))
            }
            if Bool.random(using: &random), let part = try socket.read(upTo: Int.random(in: 1...100_000, using: &random)) {
                for (offset, value) in part.enumerated() where value != byte(atHost + offset, 2) {
                    Issue.record("byte \(atHost + offset) to the host")
                    return
                }
                atHost += part.count
            }
            idle = before == atGuest + atHost + fromGuest + fromHost ? idle + 1 : 0
            try #require(idle < 100, "nothing moves: \(fromHost) \(atGuest) \(fromGuest) \(atHost)")
        }
        #expect(guest.counters.bytesToGuest == UInt64(total))
        #expect(guest.counters.bytesFromGuest == UInt64(total))
    }
}

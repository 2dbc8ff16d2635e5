import DeviceTesting
import Glibc
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
        var random = SeededGenerator(seed)
        let guest = try FakeGuest(rxPayload: UInt32.random(in: 500...4096, using: &random))
        var (socket, end) = try guest.connected(window: 20_000)
        var toGuest = Stream(10 << 20, seed: seed + 100)
        var toHost = Stream(10 << 20, seed: seed + 200)
        var granted = 0
        var forwarded = 0
        var idle = 0
        while !toGuest.isDone || !toHost.isDone {
            let before = toGuest.progress + toHost.progress
            if Bool.random(using: &random) {
                toGuest.sent += try socket.write(toGuest.next(Int.random(in: 1...40_000, using: &random)))
            }
            let room = Int(ConnectionTable.wideWindow) - (toHost.sent - forwarded)
            let part = toHost.next(min(Int.random(in: 0...65536, using: &random), room))
            if !part.isEmpty, try guest.canSend() {
                try guest.post(end.packet(.readWrite), part)
                toHost.sent += part.count
            }
            for packet in try guest.receive() {
                forwarded = Int(packet.header.forwardCount)
                let right = toGuest.takes(packet.payload)
                try #require(right)
            }
            if Int.random(in: 0..<3, using: &random) == 0, toGuest.received != granted, try guest.canSend() {
                granted = toGuest.received
                end.forwarded = UInt32(truncatingIfNeeded: granted)
                end.window = UInt32.random(in: 10_000...60_000, using: &random)
                try guest.send(end.packet(.creditUpdate))
            }
            if Bool.random(using: &random),
                let part = try socket.read(upTo: Int.random(in: 1...100_000, using: &random))
            {
                let right = toHost.takes(part)
                try #require(right)
            }
            idle = before == toGuest.progress + toHost.progress ? idle + 1 : 0
            try #require(idle < 100, "nothing moves: \(toGuest.progress) \(toHost.progress)")
        }
        #expect(guest.counters.bytesToGuest == 10 << 20)
        #expect(guest.counters.bytesFromGuest == 10 << 20)
    }
}

/// Random bytes on their way.
private struct Stream {
    private let bytes: [UInt8]
    var sent = 0
    private(set) var received = 0

    var isDone: Bool { received == bytes.count }
    var progress: Int { sent + received }

    init(_ count: Int, seed: UInt64) {
        var random = SeededGenerator(seed)
        // A pattern whose length is prime to every buffer's.
        let pattern = (0..<65_521).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var bytes: [UInt8] = []
        while bytes.count < count { bytes += pattern }
        self.bytes = Array(bytes.prefix(count))
    }

    func next(_ count: Int) -> [UInt8] { Array(bytes[sent...].prefix(max(count, 0))) }

    /// Whether `part` is what comes next.
    mutating func takes(_ part: [UInt8]) -> Bool {
        guard received + part.count <= bytes.count else { return false }
        defer { received += part.count }
        return part.withUnsafeBytes { got in
            bytes.withUnsafeBytes { all in
                guard let got = got.baseAddress, let all = all.baseAddress else { return true }
                return memcmp(got, all + received, part.count) == 0
            }
        }
    }
}

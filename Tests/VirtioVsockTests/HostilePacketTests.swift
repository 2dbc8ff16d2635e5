import DeviceTesting
import LinuxSys
import Testing
import Virtio

@testable import VirtioVsock

@Suite struct HostilePacketTests {
    @Test func wrongAddressesAndTypes() throws {
        let guest = try FakeGuest()
        let good = GuestEnd(guest: 5, host: 6).packet(.readWrite)
        for change: (inout VsockHeader) -> Void in [
            { $0.sourceCID = 43 }, { $0.sourceCID = .max }, { $0.destinationCID = 3 }, { $0.destinationCID = 0 },
            { $0.type = 0 }, { $0.type = 2 }, { $0.type = .max }, { $0.operation = 0 }, { $0.operation = 8 },
            { $0.operation = .max }, { _ in },
        ] {
            var header = good
            change(&header)
            try guest.send(header)
            let answers = try guest.receive()
            #expect(answers.map(\.operation) == [.reset])
            #expect(answers.first?.header.type == header.type)
            #expect(answers.first?.header.destinationCID == FakeGuest.cid)
            // A RST with the same faults has no answer.
            header.operation = VsockOperation.reset.rawValue
            try guest.send(header)
            #expect(try guest.receive().isEmpty)
        }
    }

    @Test(arguments: [0, 1, 2, 8, 100, .max] as [UInt16]) func badOperationsEndAConnection(operation: UInt16) throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected()
        var header = end.packet(.readWrite)
        header.operation = operation
        try guest.send(header)
        #expect(try guest.receive().map(\.operation) == [.reset])
        #expect(try socket.read() == [])
    }

    @Test func lengthsBeyondThePacket() throws {
        for length: UInt32 in [1, 4, 5, 65536, .max] {
            let guest = try FakeGuest()
            let (socket, end) = try guest.connected()
            try guest.send(end.packet(.readWrite), length == 1 ? [] : [1, 2, 3], length: length)
            #expect(try guest.receive().map(\.operation) == [.reset])
            #expect(try socket.read() == [])
        }
    }

    @Test func fieldsAtTheirLimits() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.connected(window: .max)
        var header = end.packet(.creditUpdate)
        header.flags = .max
        header.bufferSize = .max
        header.forwardCount = .max
        try guest.send(header)
        _ = try socket.write([1])
        #expect(try guest.receive().isEmpty || true)
        header.operation = VsockOperation.shutdown.rawValue
        try guest.send(header)
        #expect(try guest.receive().last?.operation == .reset)
    }

    @Test func shortPackets() throws {
        let guest = try FakeGuest()
        for count: UInt32 in [1, 43] {
            try guest.tx.describe(60, 0x20_0000, count)
            try guest.tx.offer(60)
            guest.step()
            #expect(try guest.tx.takeUsed()?.head == 60)
        }
        // No address to answer to.
        #expect(try guest.receive().isEmpty)
        #expect(guest.counters.badPackets == 2)
    }

    @Test func aHeaderInPieces() throws {
        let guest = try FakeGuest()
        var bytes = [UInt8](repeating: 0, count: 44)
        GuestEnd(guest: 5, host: 6).packet(.readWrite).encode(into: &bytes)
        for (index, at) in [0, 1, 20, 43].enumerated() {
            let next = [1, 20, 43, 44][index]
            let address: UInt64 = 0x20_0000 + UInt64(index) * 100
            try guest.memory.write(Array(bytes[at..<next]), at: address)
            let number = UInt16(50 + index)
            try guest.tx.describe(number, address, UInt32(next - at), flags: index < 3 ? 1 : 0, next: number + 1)
        }
        try guest.tx.offer(50)
        let answer = try #require(try guest.receive().first)
        #expect(answer.operation == .reset && answer.header.destinationPort == 5 && answer.header.sourcePort == 6)
    }

    @Test func uselessReceiveBuffers() throws {
        let guest = try FakeGuest(activate: false)
        try guest.activate(buffers: 0)
        try guest.rx.describe(0, 0x10_0000, 44, flags: 2)
        try guest.rx.describe(1, 0x10_0000, 100)
        try guest.rx.offer(0)
        try guest.rx.offer(1)
        try guest.offerBuffer(9)
        try guest.send(GuestEnd(guest: 5, host: 6).packet(.readWrite))
        #expect(try guest.rx.takeUsed() ?? (9, 9) == (0, 0))
        #expect(try guest.rx.takeUsed() ?? (9, 9) == (1, 0))
        #expect(try guest.receive().map(\.operation) == [.reset])
    }

    @Test func secondRequestOnAConnection() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.accepted()
        try guest.send(end.packet(.request))
        #expect(try guest.receive().map(\.operation) == [.reset])
        #expect(try socket.read() == [])
    }

    /// Packets of every kind with random fields, on known and unknown connections, with clients that come and go.
    @Test(arguments: [11, 12, 13, 14]) func randomPackets(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let guest = try FakeGuest(rxPayload: 200)
        let listener = try Sockets.listen(at: "vsock-3.sock", in: FileDescriptor.directory(guest.path))
        var sockets: [FileDescriptorBox] = []
        var hostPorts: [UInt32] = [3, 1 << 30]
        for _ in 0..<5000 {
            var header = GuestEnd(
                guest: UInt32.random(in: 0..<6, using: &random), host: hostPorts.randomElement(using: &random) ?? 3
            ).packet(.readWrite)
            header.operation = UInt16.random(in: 0..<9, using: &random)
            header.flags = UInt32.random(in: 0..<4, using: &random)
            header.bufferSize = [0, 1, 500, 70_000, .max].randomElement(using: &random) ?? 0
            header.forwardCount =
                UInt32.random(in: 0..<2, using: &random) == 0 ? 0 : UInt32(truncatingIfNeeded: random.next())
            let payload = [UInt8](repeating: 1, count: Int.random(in: 0..<3000, using: &random))
            let wrong = UInt32.random(in: 0..<20, using: &random) == 0
            if try guest.canSend() {
                try guest.post(header, payload, length: wrong ? UInt32(truncatingIfNeeded: random.next()) : nil)
            }
            switch Int.random(in: 0..<12, using: &random) {
            case 0: sockets.append(FileDescriptorBox(try guest.client(port: UInt32.random(in: 0..<6, using: &random))))
            case 1: if let socket = try Sockets.accept(listener) { sockets.append(FileDescriptorBox(socket)) }
            case 2: sockets.randomElement(using: &random)?.close()
            case 3: _ = try? sockets.randomElement(using: &random)?.write([UInt8](repeating: 4, count: 5000))
            case 4, 5: _ = try? sockets.randomElement(using: &random)?.read()
            default: break
            }
            if sockets.count > 20 { sockets.removeFirst() }
            for packet in try guest.receive() where packet.operation == .request {
                hostPorts.append(packet.header.sourcePort)
            }
            if hostPorts.count > 12 { hostPorts.remove(at: 2) }
            #expect(guest.isActive)
        }
    }

    /// Random bytes over the rings and their buffers while there is traffic: it goes on or the device says broken.
    @Test(arguments: [21, 22, 23, 24]) func randomRings(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        var broken = 0
        for _ in 0..<60 {
            let guest = try FakeGuest(rxPayload: 200)
            let (socket, end) = try guest.connected()
            for _ in 0..<30 {
                let area: Range<UInt64> = Bool.random(using: &random) ? 0x1000..<0x1900 : 0x4000..<0x4900
                for _ in 0..<Int.random(in: 1..<4, using: &random) {
                    let at = UInt64.random(in: area, using: &random)
                    try guest.memory.store(UInt8(truncatingIfNeeded: random.next()), at: at)
                }
                try? guest.post(end.packet(.readWrite), [1, 2, 3])
                _ = try? socket.write([UInt8](repeating: 1, count: 700))
                guest.device.descriptorReady()
                var turns = 0
                while case .atOnce = guest.device.run(), turns < 1000 { turns += 1 }
                #expect(turns < 1000)
                _ = try? socket.read()
                if !guest.isActive { break }
            }
            if !guest.isActive { broken += 1 }
        }
        #expect(broken > 10)
    }
}

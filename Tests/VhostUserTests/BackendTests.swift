import DeviceTesting
import LinuxSys
import Testing
import Virtio

@testable import VhostUser

@Suite struct BackendTests {
    typealias Front = FakeFrontEnd

    @Test func negotiation() throws {
        let front = try FakeFrontEnd()
        #expect(try front.ask(1) == Front.little(UInt64(1 << 32 | 1 << 30 | 1 << 29)))
        #expect(try front.ask(15) == Front.little(UInt64(1 | 1 << 3 | 1 << 9 | 1 << 13)))
        try front.tell(16, Front.little(UInt64(1 << 3)))
        #expect(try front.ask(17) == Front.little(UInt64(3)))
        // From now on a request without a reply of its own is acknowledged if that is wanted.
        #expect(try front.ask(3, flags: 9) == Front.little(UInt64(0)))
    }

    @Test func activatesWithTheLastPiece() throws {
        let front = try FakeFrontEnd()
        try front.start(base: 7)
        try #require(front.notes.setups.count == 1)
        let setup = front.notes.setups[0]
        #expect(setup.features == [.version1, .eventIndex])
        #expect(setup.queues.count == 3 && setup.queues[2] == nil)
        let queue = try #require(setup.queues[1])
        #expect(queue.size == 128 && queue.position.nextAvailable == 7)
        #expect(queue.descriptorTable == 0x4000 && queue.availableRing == 0x5000 && queue.usedRing == 0x6000)
        #expect(front.isActive)
    }

    @Test func queuesStartEnabledWithoutProtocolFeatures() throws {
        let front = try FakeFrontEnd()
        try front.tell(2, Front.little(UInt64(1 << 32)))
        try front.tell(5, front.memoryTable(), files: [front.memory.raw])
        for index: UInt32 in 0..<2 {
            try front.tell(8, Front.bytes(index, 4))
            try front.tell(9, front.vringAddress(index, Front.userBase))
            try front.tell(12, Front.little(UInt64(index)), files: [front.kicks[Int(index)].raw])
        }
        #expect(front.isActive)
    }

    @Test func kicksAndInterrupts() throws {
        let front = try FakeFrontEnd()
        try front.start()
        try EventDescriptor(adopting: front.kicks[1].descriptor.duplicate()).signal()
        _ = try front.backend.turn(atMostMilliseconds: 0)
        #expect(front.notes.kicks == [1])
        // Told once, though nobody has read the eventfd.
        _ = try front.backend.turn(atMostMilliseconds: 0)
        #expect(front.notes.kicks == [1])
        try EventDescriptor(adopting: front.kicks[1].descriptor.duplicate()).signal()
        _ = try front.backend.turn(atMostMilliseconds: 0)
        #expect(front.notes.kicks == [1, 1])
        let call = EventDescriptor(adopting: try front.calls[0].descriptor.duplicate())
        try call.drain()
        front.notes.setups[0].queues[0]?.interrupt.raise()
        #expect(try call.drain() == 1)
        // A new one: what may have gone to the old is repeated.
        let other = try EventDescriptor()
        try front.tell(13, Front.little(UInt64(0)), files: [other.raw])
        #expect(try other.drain() == 1)
        front.notes.setups[0].queues[0]?.interrupt.raise()
        #expect(try other.drain() == 1)
        try front.tell(13, Front.little(UInt64(0x100)))
        front.notes.setups[0].queues[0]?.interrupt.raise()
        #expect(try other.drain() == 0)
    }

    @Test func looksByItselfWhileThereIsWork() throws {
        let front = try FakeFrontEnd(polling: BusyPolling(longestNanoseconds: 5_000_000_000))
        try front.start()
        let before = front.notes.polls
        front.notes.work = 3
        _ = try front.backend.turn(atMostMilliseconds: 0)
        #expect(front.notes.work == 0)
        #expect(front.notes.polls >= before + 4)
    }

    @Test func aMessageEndsTheLooking() throws {
        let front = try FakeFrontEnd(polling: BusyPolling(longestNanoseconds: 5_000_000_000))
        try front.start()
        // Without an end of its own.
        front.notes.work = .max
        #expect(try front.ask(11, Front.bytes(0, 0)) == Front.bytes(0, 3))
        #expect(!front.isActive)
    }

    @Test func looksNotUnlessAllowed() throws {
        let front = try FakeFrontEnd()
        try front.start()
        front.notes.work = 1
        _ = try front.backend.turn(atMostMilliseconds: 0)
        #expect(front.notes.polls == 0)
        #expect(front.notes.runs > 0)
    }

    @Test func stopsAndGoesOn() throws {
        let front = try FakeFrontEnd()
        try front.start(base: 10)
        #expect(try front.ask(11, Front.bytes(0, 0)) == Front.bytes(0, 13))
        #expect(!front.isActive && front.notes.deactivations == 1)
        #expect(try front.ask(11, Front.bytes(1, 0)) == Front.bytes(1, 13))
        #expect(front.notes.deactivations == 1 && front.notes.resets == 0)
        try front.start(base: 13)
        #expect(front.isActive)
        #expect(front.notes.queues == [QueuePosition(nextAvailable: 13), QueuePosition(nextAvailable: 13), nil])
    }

    @Test func anotherMemoryTableKeepsThePlace() throws {
        let front = try FakeFrontEnd()
        try front.start(base: 10)
        try front.tell(5, front.memoryTable(), files: [front.memory.raw])
        #expect(front.notes.setups.count == 2)
        #expect(front.notes.queues[0] == QueuePosition(nextAvailable: 13))
    }

    @Test func disabledAndEnabled() throws {
        let front = try FakeFrontEnd()
        try front.start()
        try front.tell(18, Front.bytes(1, 0))
        #expect(!front.isActive)
        try front.tell(18, Front.bytes(1, 1))
        #expect(front.isActive)
        try front.tell(34)
        #expect(!front.isActive && front.notes.resets == 1)
    }

    @Test func configurationSpace() throws {
        let front = try FakeFrontEnd()
        #expect(try front.ask(24, Front.bytes(2, 3, 0) + [0, 0, 0]) == Front.bytes(2, 3, 0) + [3, 4, 5])
        #expect(try front.ask(24, Front.bytes(6, 3, 0) + [0, 0, 0]) == [])
        try front.tell(25, Front.bytes(0, 1, 0) + [9])
    }

    @Test func endOfTheFrontEnd() throws {
        let front = try FakeFrontEnd()
        try front.start()
        front.close()
        let goesOn = try front.backend.turn(atMostMilliseconds: 0)
        #expect(!goesOn)
    }
}

@Suite struct HostileFrontEndTests {
    typealias Front = FakeFrontEnd

    private func failure(_ act: (FakeFrontEnd) throws -> Void) throws -> VhostUserError? {
        let front = try FakeFrontEnd()
        do { try act(front) } catch let error as VhostUserError { return error }
        return nil
    }

    @Test func headers() throws {
        for flags: UInt32 in [0, 2, 3, 5, 13] {
            #expect(try failure { try $0.tell(1, flags: flags) } == .badFlags(flags))
        }
        for request: UInt32 in [0, 6, 7, 19, 40, .max] {
            #expect(try failure { try $0.tell(request) } == .unknownRequest(request))
        }
        #expect(try failure { try $0.tell(1, size: 4097) } == .badSize(request: 1, size: 4097))
        #expect(try failure { try $0.tell(1, size: .max) } == .badSize(request: 1, size: .max))
        #expect(
            try failure {
                try $0.write([1, 0, 0])
                $0.close()
                _ = try $0.backend.turn(atMostMilliseconds: 0)
            } == .truncated)
        #expect(
            try failure {
                try $0.write(Front.bytes(2, 1, 8, 0))
                $0.close()
                _ = try $0.backend.turn(atMostMilliseconds: 0)
            } == .truncated)
    }

    @Test(arguments: [2, 5, 8, 9, 10, 11, 12, 13, 14, 16, 18, 24, 25] as [UInt32])
    func payloadsOfEverySize(request: UInt32) throws {
        // Only the right sizes get through; none does harm.
        for size in 0..<60 {
            for fill: UInt8 in [0, 0xFF] {
                _ = try failure { try $0.tell(request, [UInt8](repeating: fill, count: size)) }
            }
        }
        #expect(try failure { try $0.tell(request) } != nil)
    }

    @Test func features() throws {
        #expect(try failure { try $0.tell(2, Front.little(UInt64(1 << 28))) } == .badFeatures(1 << 28))
        #expect(try failure { try $0.tell(16, Front.little(UInt64(1 << 16))) } == .badFeatures(1 << 16))
    }

    @Test func queueNumbers() throws {
        for request: UInt32 in [8, 10, 11, 18] {
            #expect(try failure { try $0.tell(request, Front.bytes(3, 1)) } == .noSuchQueue(3))
            #expect(try failure { try $0.tell(request, Front.bytes(.max, 1)) } == .noSuchQueue(UInt64(UInt32.max)))
        }
        #expect(try failure { try $0.tell(9, $0.vringAddress(7, 0)) } == .noSuchQueue(7))
        #expect(try failure { try $0.tell(13, Front.little(UInt64(0x103))) } == .noSuchQueue(3))
        #expect(try failure { try $0.tell(13, Front.little(UInt64.max)) } == .noSuchQueue(.max & ~0x100))
        for size: UInt32 in [0, 3, 2048, .max] {
            #expect(try failure { try $0.tell(8, Front.bytes(0, size)) } == .badQueueSize(queue: 0, size: size))
        }
    }

    @Test func descriptors() throws {
        #expect(
            try failure { try $0.tell(1, files: [$0.memory.raw]) } == .badDescriptors(request: 1, count: 1))
        #expect(
            try failure { try $0.tell(12, Front.little(UInt64(0)), files: [$0.memory.raw, $0.memory.raw]) }
                == .badDescriptors(request: 12, count: 2))
        #expect(try failure { try $0.tell(12, Front.little(UInt64(0))) } == .badDescriptors(request: 0, count: 0))
        #expect(try failure { try $0.tell(12, Front.little(UInt64(0x100))) } == .noKick(queue: 0))
        let many = try failure { front in
            try front.tell(5, front.memoryTable(), files: [CInt](repeating: front.memory.raw, count: 30))
        }
        guard case .badDescriptors = many else {
            Issue.record("\(String(describing: many))")
            return
        }
    }

    @Test func memoryTables() throws {
        func fails(_ table: @escaping (FakeFrontEnd) -> [UInt8], files: Int = 1) throws -> Bool {
            let error = try failure { front in
                try front.tell(5, table(front), files: [CInt](repeating: front.memory.raw, count: files))
            }
            if case .badMemoryTable = error { return true }
            return error == .truncated
        }
        #expect(try fails({ $0.memoryTable(count: 0) }, files: 0))
        #expect(try fails({ $0.memoryTable(count: 9) }, files: 8))
        #expect(try fails({ $0.memoryTable(count: 2) }, files: 1))
        #expect(try fails({ $0.memoryTable(count: 2) }, files: 2))
        #expect(try fails { $0.memoryTable(size: 0) })
        #expect(try fails { $0.memoryTable(size: UInt64(Front.memoryBytes) + 1) })
        #expect(try fails { $0.memoryTable(offset: 1) })
        #expect(try fails { $0.memoryTable(size: .max, offset: 1) })
        #expect(try fails { $0.memoryTable(size: 1 << 63) })
        #expect(try fails { $0.memoryTable(guest: .max) })
        #expect(try fails { $0.memoryTable(user: .max) })
        #expect(try fails { $0.memoryTable() + [0] })
        #expect(try fails({ $0.memoryTable(count: 2) + $0.memoryTable().dropFirst(8) }, files: 2))
    }

    @Test func ringsOutsideOfMemory() throws {
        for base: UInt64 in [0, Front.userBase - 1, Front.userBase + 0xF000, .max - 0x3000] {
            let error = try failure { front in
                try front.tell(2, Front.little(UInt64(1 << 32)))
                try front.tell(5, front.memoryTable(), files: [front.memory.raw])
                for index: UInt32 in 0..<2 {
                    try front.tell(8, Front.bytes(index, 1024))
                    try front.tell(9, front.vringAddress(index, base))
                    try front.tell(12, Front.little(UInt64(index)), files: [front.kicks[Int(index)].raw])
                }
            }
            #expect(error == .badQueueAddress(queue: 0))
        }
    }

    @Test func misalignedRingsBreakTheQueueOnly() throws {
        let front = try FakeFrontEnd()
        try front.tell(2, Front.little(UInt64(1 << 32)))
        try front.tell(5, front.memoryTable(), files: [front.memory.raw])
        let told = try EventDescriptor()
        try front.tell(14, Front.little(UInt64(1)), files: [told.raw])
        for index: UInt32 in 0..<2 {
            try front.tell(8, Front.bytes(index, 16))
            try front.tell(9, front.vringAddress(index, Front.userBase + 8))
            try front.tell(12, Front.little(UInt64(index)), files: [front.kicks[Int(index)].raw])
        }
        #expect(!front.isActive)
        #expect(try told.drain() == 1)
        #expect(front.reports.lines.count == 1)
    }

    /// Any sequence of well-formed and ill-formed messages ends in an error or goes on.
    @Test(arguments: [31, 32, 33]) func randomMessages(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        for _ in 0..<100 {
            let front = try FakeFrontEnd()
            if Bool.random(using: &random) { try front.start() }
            do {
                for _ in 0..<50 {
                    let request = UInt32.random(in: 0..<41, using: &random)
                    let length = [0, 8, 8, 8, 40, 40, Int.random(in: 0..<300, using: &random)].randomElement(
                        using: &random)
                    var payload = (0..<(length ?? 0)).map { _ in UInt8.random(in: 0..<3, using: &random) }
                    if !payload.isEmpty, Bool.random(using: &random) {
                        payload[Int.random(in: 0..<payload.count, using: &random)] = UInt8.random(
                            in: 0...255, using: &random)
                    }
                    let count = [0, 0, 1, 2].randomElement(using: &random) ?? 0
                    let files = (0..<count).map { _ in front.kicks[0].raw }
                    try front.tell(request, payload, files: files)
                    while (try? front.answer(to: request)) != nil {}
                }
            } catch is VhostUserError {}
        }
    }
}

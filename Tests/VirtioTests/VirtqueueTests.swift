import DeviceTesting
import GuestMemory
import Testing

@testable import Virtio

/// A queue of four entries over a page of rings and some pages of data.
struct QueueFixture {
    let memory: GuestMemory
    let driver: DriverQueue
    static let data: UInt64 = 0x10000
    static let end: UInt64 = 0x20000

    init(size: UInt16 = 4, startingAt start: UInt16 = 0) throws {
        memory = try GuestMemory([GuestRegion(anonymous: Int(Self.end), at: 0)])
        driver = try DriverQueue(memory, at: 0x1000, size: size, startingAt: start)
    }

    func queue(_ features: VirtioFeatures = [.version1]) throws -> Virtqueue {
        try Virtqueue(driver.configuration(), memory: memory, features: features)
    }

    /// What popping one chain throws.
    func failure(_ features: VirtioFeatures = [.version1]) throws -> QueueError? {
        var queue = try queue(features)
        var chain = DescriptorChain()
        do throws(QueueError) {
            _ = try queue.pop(into: &chain)
            return nil
        } catch {
            return error
        }
    }
}

@Suite struct VirtqueueTests {
    let data = QueueFixture.data

    @Test func popsAndPushes() throws {
        let fixture = try QueueFixture()
        var queue = try fixture.queue()
        var chain = DescriptorChain()
        #expect(try !queue.pop(into: &chain))
        try fixture.driver.describe(2, data, 10, flags: 1, next: 0)
        try fixture.driver.describe(0, data + 100, 20, flags: 3, next: 3)
        try fixture.driver.describe(3, data + 200, 30, flags: 2)
        try fixture.driver.offer(2)
        #expect(try queue.pop(into: &chain))
        #expect(chain.head == 2)
        #expect(chain.readable == [GuestSegment(address: data, count: 10)])
        #expect(
            chain.writable == [
                GuestSegment(address: data + 100, count: 20), GuestSegment(address: data + 200, count: 30),
            ])
        #expect(chain.readableBytes == 10 && chain.writableBytes == 50)
        #expect(try !queue.pop(into: &chain))
        queue.push(2, written: 42)
        #expect(try fixture.driver.takeUsed() == nil)
        let first = queue.publish()
        #expect(try fixture.driver.takeUsed() ?? (0, 0) == (2, 42))
        let again = queue.publish()
        #expect(first && !again && fixture.driver.interrupt.count == 1)
    }

    @Test func indicesWrap() throws {
        let fixture = try QueueFixture(startingAt: 65534)
        var queue = try fixture.queue()
        var chain = DescriptorChain()
        for round in 0..<10 {
            let head = UInt16(round % 4)
            try fixture.driver.describe(head, data + UInt64(round), 1)
            try fixture.driver.offer(head)
            #expect(try queue.pop(into: &chain))
            #expect(chain.readable[0].address == data + UInt64(round))
            queue.push(head, written: UInt32(round))
            queue.publish()
            #expect(try fixture.driver.takeUsed() ?? (0, 0) == (UInt32(head), UInt32(round)))
        }
        #expect(queue.position == QueuePosition(nextAvailable: 8))
    }

    @Test func rewindGivesBack() throws {
        let fixture = try QueueFixture()
        var queue = try fixture.queue()
        var chain = DescriptorChain()
        for head: UInt16 in 0..<3 {
            try fixture.driver.describe(head, data, 1)
            try fixture.driver.offer(head)
        }
        for _ in 0..<3 { #expect(try queue.pop(into: &chain)) }
        queue.rewind(2)
        #expect(try queue.pop(into: &chain))
        #expect(chain.head == 1)
    }

    @Test func indirectTables() throws {
        let fixture = try QueueFixture()
        let table: UInt64 = 0x8000
        try DriverQueue.describe(fixture.memory, table, data, 5, flags: 1, next: 2)
        try DriverQueue.describe(fixture.memory, table + 32, data + 8, 6, flags: 2, next: 0)
        try fixture.driver.describe(1, table, 48, flags: 4)
        try fixture.driver.offer(1)
        var queue = try fixture.queue([.version1, .indirectDescriptors])
        var chain = DescriptorChain()
        #expect(try queue.pop(into: &chain))
        #expect(chain.head == 1 && chain.readableBytes == 5 && chain.writableBytes == 6)
        #expect(try fixture.failure() == .badIndirect)
    }

    @Test func badConfigurations() throws {
        let fixture = try QueueFixture()
        func failure(_ change: (inout QueueConfiguration) -> Void) -> QueueError? {
            var configuration = fixture.driver.configuration()
            change(&configuration)
            do throws(QueueError) {
                _ = try Virtqueue(configuration, memory: fixture.memory, features: [])
                return nil
            } catch {
                return error
            }
        }
        for size: UInt32 in [0, 3, 65536, .max] { #expect(failure { $0.size = size } == .badSize(size)) }
        #expect(failure { $0.descriptorTable += 8 } == .badRing(.misaligned))
        #expect(failure { $0.availableRing += 1 } == .badRing(.misaligned))
        #expect(failure { $0.usedRing += 2 } == .badRing(.misaligned))
        #expect(failure { $0.usedRing = QueueFixture.end - 4 } == .badRing(.outOfRange))
        #expect(failure { $0.descriptorTable = .max & ~15 } == .badRing(.outOfRange))
    }
}

@Suite struct HostileQueueTests {
    let data = QueueFixture.data

    /// One chain from head 0; what `describe` makes of it.
    private func failure(
        _ features: VirtioFeatures = [.version1, .indirectDescriptors], _ describe: (QueueFixture) throws -> Void
    ) throws -> QueueError? {
        let fixture = try QueueFixture()
        try describe(fixture)
        try fixture.driver.offer(0)
        return try fixture.failure(features)
    }

    @Test func outsideOfMemory() throws {
        for (address, count): (UInt64, UInt32) in [
            (QueueFixture.end, 1), (QueueFixture.end - 1, 2), (.max, 1), (.max, .max), (0, .max),
        ] {
            #expect(
                try failure { try $0.driver.describe(0, address, count) } == .outOfRange(address: address, count: count)
            )
        }
    }

    @Test func loops() throws {
        #expect(try failure { try $0.driver.describe(0, data, 1, flags: 1, next: 0) } == .chainTooLong)
        #expect(
            try failure {
                try $0.driver.describe(0, data, 1, flags: 1, next: 1)
                try $0.driver.describe(1, data, 1, flags: 1, next: 0)
            } == .chainTooLong)
    }

    @Test func badIndices() throws {
        #expect(try failure { try $0.driver.describe(0, data, 1, flags: 1, next: 4) } == .descriptorIndex(4))
        let fixture = try QueueFixture()
        try fixture.driver.offer(4)
        #expect(try fixture.failure() == .descriptorIndex(4))
    }

    @Test func zeroLength() throws {
        #expect(try failure { try $0.driver.describe(0, data, 0) } == .zeroLength)
        #expect(try failure { try $0.driver.describe(0, .max, 0, flags: 2) } == .zeroLength)
    }

    @Test func readableAfterWritable() throws {
        #expect(
            try failure {
                try $0.driver.describe(0, data, 1, flags: 3, next: 1)
                try $0.driver.describe(1, data, 1)
            } == .readableAfterWritable)
    }

    @Test func overlappingBuffersHarmOnlyTheGuest() throws {
        // A buffer may be the ring itself: it is the guest's memory.
        #expect(
            try failure {
                try $0.driver.describe(0, $0.driver.table, 64, flags: 1, next: 1)
                try $0.driver.describe(1, $0.driver.usedRing, 16, flags: 2)
            } == nil)
    }

    @Test func badIndirectTables() throws {
        let table: UInt64 = 0x8000
        for count: UInt32 in [1, 15, 17, 80, .max] {
            #expect(try failure { try $0.driver.describe(0, table, count, flags: 4) } == .badIndirect)
        }
        #expect(try failure { try $0.driver.describe(0, table, 0, flags: 4) } == .badIndirect)
        #expect(try failure { try $0.driver.describe(0, table, 16, flags: 5, next: 1) } == .badIndirect)
        #expect(
            try failure { try $0.driver.describe(0, QueueFixture.end - 8, 16, flags: 4) }
                == .outOfRange(address: QueueFixture.end - 8, count: 16))
        // Nested.
        #expect(
            try failure {
                try DriverQueue.describe($0.memory, table, table, 16, flags: 4, next: 0)
                try $0.driver.describe(0, table, 16, flags: 4)
            } == .badIndirect)
        // A loop, and a way out of the table.
        #expect(
            try failure {
                try DriverQueue.describe($0.memory, table, data, 1, flags: 1, next: 0)
                try $0.driver.describe(0, table, 32, flags: 4)
            } == .chainTooLong)
        #expect(
            try failure {
                try DriverQueue.describe($0.memory, table, data, 1, flags: 1, next: 2)
                try $0.driver.describe(0, table, 32, flags: 4)
            } == .descriptorIndex(2))
    }

    @Test func indexJump() throws {
        let fixture = try QueueFixture()
        try fixture.driver.setAvailableIndex(4)
        #expect(try fixture.failure() == .descriptorIndex(0) || fixture.failure() == .zeroLength)
        try fixture.driver.setAvailableIndex(5)
        #expect(try fixture.failure() == .availableIndexJump(from: 0, to: 5))
        try fixture.driver.setAvailableIndex(65535)
        #expect(try fixture.failure() == .availableIndexJump(from: 0, to: 65535))
    }

    @Test func tooManyBytes() throws {
        // Sixteen readable buffers of 2^31 bytes can't be in the fake memory; the sum is checked all the same.
        var chain = DescriptorChain()
        chain.restart(at: 0)
        try chain.add(GuestSegment(address: 0, count: .max), writable: false)
        #expect(throws: QueueError.tooManyBytes) { try chain.add(GuestSegment(address: 0, count: 1), writable: false) }
    }

    /// Random rings: whatever is in them, popping ends, and with an error or with segments inside of memory.
    @Test(arguments: [1, 2, 3, 4]) func randomRings(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let fixture = try QueueFixture(size: 8)
        for _ in 0..<3000 {
            for index: UInt16 in 0..<8 {
                let wild = Int.random(in: 0..<8, using: &random) == 0
                try fixture.driver.describe(
                    index, wild ? random.next() : UInt64.random(in: 0..<QueueFixture.end, using: &random),
                    wild ? UInt32(truncatingIfNeeded: random.next()) : UInt32.random(in: 0..<300, using: &random),
                    flags: UInt16.random(in: 0..<8, using: &random), next: UInt16.random(in: 0..<9, using: &random))
            }
            for at in stride(from: fixture.driver.availableRing, to: fixture.driver.usedRing, by: 2) {
                try fixture.memory.store(UInt16.random(in: 0..<9, using: &random), at: at)
            }
            var queue = try fixture.queue([.indirectDescriptors, .eventIndex])
            var chain = DescriptorChain()
            do throws(QueueError) {
                while try queue.pop(into: &chain) {
                    #expect(chain.readable.count + chain.writable.count <= 8)
                    for segment in chain.readable + chain.writable {
                        #expect(fixture.memory.contains(segment.address, count: UInt64(segment.count)))
                    }
                    queue.push(chain.head, written: 0)
                }
                queue.publish()
            } catch {}
        }
    }
}

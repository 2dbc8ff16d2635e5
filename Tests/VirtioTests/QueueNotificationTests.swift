import GuestMemory
import Testing

@testable import Virtio

@Suite struct QueueNotificationTests {
    /// Pushes `count` buffers and publishes them.
    private func complete(_ count: Int, _ queue: inout Virtqueue, _ fixture: QueueFixture) throws {
        var chain = DescriptorChain()
        for _ in 0..<count {
            try fixture.driver.describe(0, QueueFixture.data, 1)
            try fixture.driver.offer(0)
            #expect(try queue.pop(into: &chain))
            queue.push(0, written: 0)
        }
        queue.publish()
    }

    @Test func withoutEventIndexTheFlagCounts() throws {
        let fixture = try QueueFixture()
        var queue = try fixture.queue()
        try complete(1, &queue, fixture)
        #expect(fixture.driver.interrupt.count == 1)
        try fixture.driver.setAvailableFlags(1)
        try complete(2, &queue, fixture)
        #expect(fixture.driver.interrupt.count == 1)
        queue.suppressKicks()
        #expect(try fixture.driver.usedFlags() == 1)
        #expect(try !queue.armKicks())
        #expect(try fixture.driver.usedFlags() == 0)
    }

    @Test(arguments: [0, 65533] as [UInt16]) func eventIndex(start: UInt16) throws {
        let fixture = try QueueFixture(startingAt: start)
        var queue = try fixture.queue([.version1, .eventIndex])
        // Wants to hear of the third from now on.
        try fixture.driver.setUsedEvent(start &+ 2)
        try complete(1, &queue, fixture)
        try complete(1, &queue, fixture)
        #expect(fixture.driver.interrupt.count == 0)
        try complete(1, &queue, fixture)
        #expect(fixture.driver.interrupt.count == 1)
        try complete(1, &queue, fixture)
        #expect(fixture.driver.interrupt.count == 1)
        // One batch that passes the wish is one interrupt.
        try fixture.driver.setUsedEvent(start &+ 5)
        try complete(4, &queue, fixture)
        #expect(fixture.driver.interrupt.count == 2)
    }

    @Test func armingTellsWhereWeAreAndWhatCame() throws {
        let fixture = try QueueFixture(startingAt: 65535)
        var queue = try fixture.queue([.version1, .eventIndex])
        #expect(try !queue.armKicks())
        #expect(try fixture.driver.availableEvent() == 65535)
        try complete(1, &queue, fixture)
        queue.suppressKicks()
        #expect(try fixture.driver.availableEvent() == 65535)
        try fixture.driver.offer(0)
        #expect(try queue.armKicks())
        #expect(try fixture.driver.availableEvent() == 0)
    }

    @Test func everyDistance() {
        // The formula of virtio 1.2 §2.7.7.2, by counting: was `event` among the indices that were passed?
        for event: UInt16 in [0, 1, 5, 65535] {
            for old: UInt16 in [0, 4, 65530, 65535] {
                for distance: UInt16 in 0..<12 {
                    let passed = (0..<distance).contains { old &+ $0 == event }
                    #expect(Virtqueue.passes(event, from: old, to: old &+ distance) == passed)
                }
            }
        }
    }
}

import GuestMemory
import Virtio

/// Counts interrupts.
package final class InterruptCounter: QueueInterrupt {
    package init() {}

    package private(set) var count = 0
    package func raise() { count += 1 }
}

/// The driver's side of a split virtqueue, as a well-behaved guest has it; and, field by field, as a hostile one.
package final class DriverQueue {
    package let memory: GuestMemory
    package let base: UInt64
    package let size: UInt16
    package let interrupt = InterruptCounter()
    private let start: UInt16
    package private(set) var available: UInt16
    package private(set) var seen: UInt16

    package var table: UInt64 { base }
    package var availableRing: UInt64 { base + 16 * UInt64(size) }
    /// 6 + 2n bytes of available ring, and then 4-aligned.
    package var usedRing: UInt64 { (availableRing + 6 + 2 * UInt64(size) + 3) & ~3 }

    package init(_ memory: GuestMemory, at base: UInt64, size: UInt16, startingAt start: UInt16 = 0) throws {
        self.memory = memory
        self.base = base
        self.size = size
        self.start = start
        available = start
        seen = start
        try memory.store(start, at: availableRing + 2)
        try memory.store(start, at: usedRing + 2)
    }

    package func configuration(position: UInt16? = nil) -> QueueConfiguration {
        QueueConfiguration(
            size: UInt32(size), descriptorTable: table, availableRing: availableRing, usedRing: usedRing,
            position: QueuePosition(nextAvailable: position ?? start), interrupt: interrupt)
    }

    /// Writes descriptor `index`. Flags: 1 next, 2 writable, 4 indirect.
    package func describe(_ index: UInt16, _ address: UInt64, _ count: UInt32, flags: UInt16 = 0, next: UInt16 = 0) throws {
        try Self.describe(memory, table + 16 * UInt64(index), address, count, flags: flags, next: next)
    }

    package static func describe(
        _ memory: GuestMemory, _ at: UInt64, _ address: UInt64, _ count: UInt32, flags: UInt16, next: UInt16
    ) throws {
        try memory.store(address, at: at)
        try memory.store(count, at: at + 8)
        try memory.store(flags, at: at + 12)
        try memory.store(next, at: at + 14)
    }

    /// Makes the chain that starts at `head` available.
    package func offer(_ head: UInt16) throws {
        try memory.store(head, at: availableRing + 4 + 2 * UInt64(available & (size - 1)))
        available &+= 1
        try memory.store(available, at: availableRing + 2)
    }

    /// The next entry of the used ring.
    package func takeUsed() throws -> (head: UInt32, written: UInt32)? {
        let index: UInt16 = try memory.load(usedRing + 2)
        guard index != seen else { return nil }
        let at = usedRing + 4 + 8 * UInt64(seen & (size - 1))
        seen &+= 1
        return (try memory.load(at), try memory.load(at + 4))
    }

    /// used_event: interrupt when the used index passes it.
    package func setUsedEvent(_ index: UInt16) throws { try memory.store(index, at: availableRing + 4 + 2 * UInt64(size)) }
    /// avail_event: the device wants a kick when the available index passes it.
    package func availableEvent() throws -> UInt16 { try memory.load(usedRing + 4 + 8 * UInt64(size)) }
    package func usedFlags() throws -> UInt16 { try memory.load(usedRing) }
    package func setAvailableFlags(_ flags: UInt16) throws { try memory.store(flags, at: availableRing) }
    package func setAvailableIndex(_ index: UInt16) throws { try memory.store(index, at: availableRing + 2) }
}

/// The same numbers at every run.
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    package init(_ seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

import GuestMemory
import Virtio

/// Interrupts go nowhere: nobody waits for them here.
final class NoInterrupt: QueueInterrupt {
    func raise() {}
}

/// The driver's side of a queue, with no scruples.
struct DriverRing {
    static let tableOffset: UInt64 = 0
    static let availableOffset: UInt64 = 0x1000
    static let usedOffset: UInt64 = 0x1400
    /// Room for 256 entries.
    static let bytes: UInt64 = 0x2000

    var configuration: QueueConfiguration
    var availableIndex: UInt16 = 0
    private var nextDescriptor: UInt16 = 0

    private var mask: UInt16 { UInt16(truncatingIfNeeded: configuration.size &- 1) }

    init(_ number: Int, size: UInt32, start: UInt16) {
        let base = GuestSpace.rings + UInt64(number) * Self.bytes
        configuration = QueueConfiguration(
            size: size, descriptorTable: base + Self.tableOffset, availableRing: base + Self.availableOffset,
            usedRing: base + Self.usedOffset, position: QueuePosition(nextAvailable: start), interrupt: NoInterrupt())
        availableIndex = start
    }

    /// Writes the indices that a driver starts from.
    func clear(_ space: GuestSpace) {
        space.store(availableIndex, at: configuration.availableRing &+ 2)
        space.store(configuration.position.nextAvailable, at: configuration.usedRing &+ 2)
    }

    func hasRoom(_ space: GuestSpace) -> Bool {
        let used: UInt16 = space.load(configuration.usedRing &+ 2) ?? 0
        return UInt32(availableIndex &- used) < configuration.size
    }

    func describe(
        _ index: UInt16, _ address: UInt64, _ count: UInt32, flags: UInt16, next: UInt16, _ space: GuestSpace
    ) {
        let bytes = Self.descriptor(address, count, flags: flags, next: next)
        space.write(bytes, at: configuration.descriptorTable &+ 16 &* UInt64(index))
    }

    static func descriptor(_ address: UInt64, _ count: UInt32, flags: UInt16, next: UInt16) -> [UInt8] {
        var packed = Packed()
        packed.put(address)
        packed.put(count)
        packed.put(flags)
        packed.put(next)
        return packed.bytes
    }

    /// Writes a chain over the next descriptors.
    /// - Returns: its head.
    mutating func describe(
        _ segments: [(address: UInt64, count: UInt32, isWritable: Bool)], _ space: GuestSpace
    ) -> UInt16 {
        let head = nextDescriptor
        for (number, segment) in segments.enumerated() {
            let index = nextDescriptor
            nextDescriptor = (nextDescriptor &+ 1) & mask
            let isLast = number == segments.count - 1
            describe(
                index, segment.address, segment.count, flags: (isLast ? 0 : 1) | (segment.isWritable ? 2 : 0),
                next: isLast ? 0 : nextDescriptor, space)
        }
        return head
    }

    /// The same, in an indirect table at `address`.
    mutating func describe(
        _ segments: [(address: UInt64, count: UInt32, isWritable: Bool)], tableAt address: UInt64, _ space: GuestSpace
    ) -> UInt16 {
        let table = segments.enumerated().flatMap { number, segment in
            let isLast = number == segments.count - 1
            return Self.descriptor(
                segment.address, segment.count, flags: (isLast ? 0 : 1) | (segment.isWritable ? 2 : 0),
                next: isLast ? 0 : UInt16(number + 1))
        }
        space.write(table, at: address)
        let head = nextDescriptor
        nextDescriptor = (nextDescriptor &+ 1) & mask
        describe(head, address, UInt32(table.count), flags: 4, next: 0, space)
        return head
    }

    mutating func offer(_ head: UInt16, _ space: GuestSpace) {
        space.store(head, at: configuration.availableRing &+ 4 &+ 2 &* UInt64(availableIndex & mask))
        availableIndex &+= 1
        space.store(availableIndex, at: configuration.availableRing &+ 2)
    }
}

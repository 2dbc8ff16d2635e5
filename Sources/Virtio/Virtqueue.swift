import GuestMemory

/// The device's side of a split virtqueue (virtio 1.2 §2.7).
///
/// The driver is not trusted. Each error is final for the queue: the caller reports it and uses it no more.
public struct Virtqueue: ~Copyable {
    /// Entries.
    public let size: UInt16
    let memory: GuestMemory
    private let descriptors: GuestView
    let available: GuestView
    let used: GuestView
    let interrupt: any QueueInterrupt
    private let indirect: Bool
    let eventIndex: Bool

    /// Free-running, as all indices here are: the entry is `index & (size - 1)`.
    var nextAvailable: UInt16
    /// The driver's index when it was last read.
    private var availableIndex: UInt16
    var nextUsed: UInt16
    /// What the driver can see of `nextUsed`.
    var publishedUsed: UInt16
    var kicksSuppressed = false

    public var position: QueuePosition { QueuePosition(nextAvailable: nextAvailable) }

    public init(
        _ configuration: QueueConfiguration, memory: GuestMemory, features: VirtioFeatures
    ) throws(QueueError) {
        let size = configuration.size
        guard size >= 1, size <= 32768, size & (size - 1) == 0 else { throw .badSize(size) }
        let tableBytes = QueueConfiguration.descriptorTableBytes(size)
        let availableBytes = QueueConfiguration.availableRingBytes(size)
        // All that can fail comes before the first property: a value that can't be copied is made whole or not at all.
        let descriptors = try Self.view(memory, configuration.descriptorTable, tableBytes, alignment: 16)
        let available = try Self.view(memory, configuration.availableRing, availableBytes, alignment: 2)
        let usedBytes = QueueConfiguration.usedRingBytes(size)
        let used = try Self.view(memory, configuration.usedRing, usedBytes, alignment: 4)
        self.size = UInt16(size)
        self.memory = memory
        self.descriptors = descriptors
        self.available = available
        interrupt = configuration.interrupt
        indirect = features.contains(.indirectDescriptors)
        eventIndex = features.contains(.eventIndex)
        nextAvailable = configuration.position.nextAvailable
        availableIndex = nextAvailable
        // Used entries are written in order and all those taken have been given back when a queue is stopped.
        nextUsed = used.load16(2)
        publishedUsed = nextUsed
        self.used = used
    }

    private static func view(
        _ memory: GuestMemory, _ address: UInt64, _ bytes: UInt64, alignment: UInt
    ) throws(QueueError) -> GuestView {
        do throws(GuestMemoryError) {
            return try GuestView(memory, at: address, count: Int(bytes), alignment: alignment)
        } catch {
            throw .badRing(error)
        }
    }

    /// Takes the next buffer that the driver has made available.
    /// - Returns: false when there is none.
    public mutating func pop(into chain: inout DescriptorChain) throws(QueueError) -> Bool {
        if nextAvailable == availableIndex {
            guard try refresh() else { return false }
        }
        let slot = Int(nextAvailable & (size &- 1))
        let head = available.load16(4 &+ 2 &* slot)
        guard head < size else { throw .descriptorIndex(head) }
        chain.restart(at: head)
        try walk(&chain)
        nextAvailable &+= 1
        return true
    }

    /// Gives the last `count` popped buffers back as if they had not been taken. None of them may have been pushed.
    public mutating func rewind(_ count: Int) { nextAvailable &-= UInt16(truncatingIfNeeded: count) }

    /// Puts a buffer into the used ring; the driver sees it with the next `publish`.
    /// - Parameter written: bytes that the device wrote into it.
    public mutating func push(_ head: UInt16, written: UInt32) {
        let at = 4 &+ 8 &* Int(nextUsed & (size &- 1))
        used.store32(at, UInt32(head))
        used.store32(at &+ 4, written)
        nextUsed &+= 1
    }

    /// Reads the driver's index; whether there is anything to take.
    mutating func refresh() throws(QueueError) -> Bool {
        let index = available.loadAcquire16(2)
        guard index &- nextAvailable <= size else { throw .availableIndexJump(from: nextAvailable, to: index) }
        availableIndex = index
        return index != nextAvailable
    }

    private func walk(_ chain: inout DescriptorChain) throws(QueueError) {
        var index = chain.head
        for _ in 0..<size {
            let descriptor = Descriptor(descriptors, Int(index))
            if descriptor.isIndirect {
                guard indirect, !descriptor.hasNext else { throw .badIndirect }
                return try walkTable(descriptor, &chain)
            }
            try add(descriptor, to: &chain)
            guard descriptor.hasNext else { return }
            index = descriptor.next
            guard index < size else { throw .descriptorIndex(index) }
        }
        throw .chainTooLong
    }

    /// An indirect table (§2.7.5.3): a chain in a table of its own, which may hold no further table.
    private func walkTable(_ outer: Descriptor, _ chain: inout DescriptorChain) throws(QueueError) {
        let (entries, rest) = outer.count.quotientAndRemainder(dividingBy: UInt32(Descriptor.bytes))
        // A chain may not be longer than the queue, so a longer table has no use.
        guard rest == 0, entries >= 1, entries <= UInt32(size) else { throw .badIndirect }
        let table: GuestView
        do throws(GuestMemoryError) {
            table = try GuestView(memory, at: outer.address, count: Int(outer.count), alignment: 8)
        } catch {
            throw .outOfRange(address: outer.address, count: outer.count)
        }
        var index: UInt16 = 0
        for _ in 0..<entries {
            let descriptor = Descriptor(table, Int(index))
            if descriptor.isIndirect { throw .badIndirect }
            try add(descriptor, to: &chain)
            guard descriptor.hasNext else { return }
            index = descriptor.next
            guard UInt32(index) < entries else { throw .descriptorIndex(index) }
        }
        throw .chainTooLong
    }

    private func add(_ descriptor: Descriptor, to chain: inout DescriptorChain) throws(QueueError) {
        if descriptor.count == 0 { throw .zeroLength }
        guard memory.contains(descriptor.address, count: UInt64(descriptor.count)) else {
            throw .outOfRange(address: descriptor.address, count: descriptor.count)
        }
        try chain.add(
            GuestSegment(address: descriptor.address, count: descriptor.count), writable: descriptor.isWritable)
    }
}

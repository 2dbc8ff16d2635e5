import GuestMemory

/// A buffer that the driver made available. Meant to be used again and again (`Virtqueue.pop(into:)`), so that no
/// packet costs an allocation. Every segment was inside guest memory when it was popped.
public struct DescriptorChain {
    /// What `push` gives back to the driver.
    public internal(set) var head: UInt16 = 0
    /// What the device may read, in order; then what it may write.
    public internal(set) var readable: [GuestSegment] = []
    public internal(set) var writable: [GuestSegment] = []
    /// Bytes of each.
    public internal(set) var readableBytes: UInt32 = 0
    public internal(set) var writableBytes: UInt32 = 0

    public init() {}

    mutating func restart(at head: UInt16) {
        self.head = head
        readable.removeAll(keepingCapacity: true)
        writable.removeAll(keepingCapacity: true)
        readableBytes = 0
        writableBytes = 0
    }

    mutating func add(_ segment: GuestSegment, writable isWritable: Bool) throws(QueueError) {
        if isWritable {
            let (sum, overflow) = writableBytes.addingReportingOverflow(segment.count)
            if overflow { throw .tooManyBytes }
            writableBytes = sum
            writable.append(segment)
        } else {
            if !writable.isEmpty { throw .readableAfterWritable }
            let (sum, overflow) = readableBytes.addingReportingOverflow(segment.count)
            if overflow { throw .tooManyBytes }
            readableBytes = sum
            readable.append(segment)
        }
    }
}

/// A descriptor (virtio 1.2 §2.7.5), copied out of guest memory once.
struct Descriptor {
    static let bytes = 16

    let address: UInt64
    let count: UInt32
    let flags: UInt16
    let next: UInt16

    var hasNext: Bool { flags & 1 != 0 }
    var isWritable: Bool { flags & 2 != 0 }
    var isIndirect: Bool { flags & 4 != 0 }

    /// - Parameter index: below the number of descriptors in `table`.
    init(_ table: borrowing GuestView, _ index: Int) {
        let at = index &* Self.bytes
        address = table.load64(at)
        let rest = table.load64(at &+ 8)
        count = UInt32(truncatingIfNeeded: rest)
        flags = UInt16(truncatingIfNeeded: rest >> 32)
        next = UInt16(truncatingIfNeeded: rest >> 48)
    }
}

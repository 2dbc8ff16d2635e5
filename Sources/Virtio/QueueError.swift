import GuestMemory

/// What a driver did wrong with a queue. The queue is not to be used any more: where it goes on from is not known.
public enum QueueError: Error, Equatable, Sendable {
    /// 0, more than 32768, or no power of two (virtio 1.2 §2.7).
    case badSize(UInt32)
    /// A ring is outside of guest memory, or not aligned.
    case badRing(GuestMemoryError)
    /// The available index is further ahead than the queue is long.
    case availableIndexJump(from: UInt16, to: UInt16)
    /// A descriptor's index, in the available ring or in a `next` field.
    case descriptorIndex(UInt16)
    /// More descriptors than the queue has: a loop.
    case chainTooLong
    case zeroLength
    /// A chain of more than 2^32 - 1 bytes, readable or writable: the used ring's length has 32 bits (§2.7.8).
    case tooManyBytes
    /// A descriptor is outside of guest memory.
    case outOfRange(address: UInt64, count: UInt32)
    /// One that the device may write came before one that it may only read (virtio 1.2 §2.7.4.2).
    case readableAfterWritable
    /// Indirect though not negotiated, in an indirect table, with NEXT set, or a table of a bad size (§2.7.5.3).
    case badIndirect
}

import CLinux

/// A checked window on guest memory, for structures that are read and written all the time: the rings of a virtqueue.
/// It keeps the memory mapped. An offset outside of it is an error of ours, not of the guest's, and traps.
///
/// Numbers are little endian (virtio 1.2 §1.4) as the machines are that this is built for. Without a word in the
/// name an access is relaxed: done once, not torn, not ordered.
public struct GuestView: ~Copyable {
    @usableFromInline let base: UnsafeMutableRawPointer
    /// Bytes.
    public let count: Int
    private let memory: GuestMemory

    /// - Parameter alignment: of the first byte, as seen here; a power of two.
    public init(_ memory: GuestMemory, at address: UInt64, count: Int, alignment: UInt) throws(GuestMemoryError) {
        guard let size = UInt64(exactly: count) else { throw .outOfRange }
        let pointer = try memory.checked(address, count: size)
        guard UInt(bitPattern: pointer) & (alignment &- 1) == 0 else { throw .misaligned }
        base = pointer
        self.count = count
        self.memory = memory
    }

    @inlinable @inline(__always)
    func at(_ offset: Int, _ size: Int) -> UnsafeMutableRawPointer {
        precondition(offset >= 0 && offset <= count &- size && offset & (size &- 1) == 0)
        return base + offset
    }

    @inlinable public func load16(_ offset: Int) -> UInt16 { clinux_load_u16(at(offset, 2)) }
    @inlinable public func load32(_ offset: Int) -> UInt32 { clinux_load_u32(at(offset, 4)) }
    @inlinable public func load64(_ offset: Int) -> UInt64 { clinux_load_u64(at(offset, 8)) }
    @inlinable public func loadAcquire16(_ offset: Int) -> UInt16 { clinux_load_acquire_u16(at(offset, 2)) }

    @inlinable public func store16(_ offset: Int, _ value: UInt16) { clinux_store_u16(at(offset, 2), value) }
    @inlinable public func store32(_ offset: Int, _ value: UInt32) { clinux_store_u32(at(offset, 4), value) }
    @inlinable public func store64(_ offset: Int, _ value: UInt64) { clinux_store_u64(at(offset, 8), value) }
    @inlinable public func storeRelease16(_ offset: Int, _ value: UInt16) {
        clinux_store_release_u16(at(offset, 2), value)
    }

    /// Orders every access before it against every one after it, a store and a later load included.
    @inlinable public static func fence() { clinux_fence() }
}

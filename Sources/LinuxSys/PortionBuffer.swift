/// Room for one read(2), used again for the next: allocating and freeing it for each read costs more than the read, since
/// the allocator gives large blocks back to the kernel. Pages that were never read into take no memory.
public final class PortionBuffer {
    private let room: UnsafeMutableRawBufferPointer
    /// Bytes of the last read.
    public private(set) var count = 0

    public init(bytes: Int) { room = .allocate(byteCount: max(bytes, 1), alignment: 4096) }

    deinit { room.deallocate() }

    /// Reads once. `count` 0 is the end of the file.
    public func fill(from descriptor: borrowing FileDescriptor) throws(Errno) {
        count = 0  // Also when it fails.
        count = try descriptor.read(into: room)
    }

    /// One write(2) of the bytes from `offset` on: how many were taken.
    public func write(to descriptor: borrowing FileDescriptor, from offset: Int) throws(Errno) -> Int {
        guard (0...count).contains(offset) else { throw .invalidArgument }
        return try descriptor.write(UnsafeRawBufferPointer(rebasing: room[offset..<count]))
    }
}

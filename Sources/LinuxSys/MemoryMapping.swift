import CLinux

/// A mapping of a file (or of nothing) with one owner; unmapped when the owner goes.
public struct MemoryMapping: ~Copyable, @unchecked Sendable {
    public let base: UnsafeMutableRawPointer
    /// Bytes.
    public let count: Int

    /// Maps `count` bytes of `fd` from `offset`, shared and writable.
    public init(sharing fd: CInt, offset: UInt64, count: Int) throws(Errno) {
        guard count > 0, let from = off_t(exactly: offset) else { throw .invalidArgument }
        let mapped = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, from)
        guard let mapped, mapped != UnsafeMutableRawPointer(bitPattern: -1) else { throw Errno.current }
        base = mapped
        self.count = count
    }

    /// Maps `count` bytes of zeros, private.
    public init(anonymous count: Int) throws(Errno) {
        guard count > 0 else { throw .invalidArgument }
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let mapped = mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard let mapped, mapped != UnsafeMutableRawPointer(bitPattern: -1) else { throw Errno.current }
        base = mapped
        self.count = count
    }

    deinit { munmap(base, count) }

    public var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: count) }
}

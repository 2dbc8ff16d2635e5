import CLinux

extension FileDescriptor {
    /// The file's size in bytes (st_size).
    public func size() throws(Errno) -> UInt64 {
        var status = stat()
        _ = try once { fstat(raw, &status) }
        return UInt64(clamping: status.st_size)
    }
}

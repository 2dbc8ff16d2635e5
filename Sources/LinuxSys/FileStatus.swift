import CLinux

/// What a file is, whatever its name.
public struct FileIdentity: Equatable, Sendable {
    public var device: UInt64
    public var inode: UInt64

    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }

    /// Of what the path leads to; the last symlink is followed.
    public init(of path: String) throws(Errno) {
        var status = stat()
        _ = try once { stat(path, &status) }
        self.init(status)
    }

    public init(_ status: stat) { self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) }
}

extension FileDescriptor {
    /// The file's size in bytes (st_size).
    public func size() throws(Errno) -> UInt64 {
        var status = stat()
        _ = try once { fstat(raw, &status) }
        return UInt64(clamping: status.st_size)
    }
}

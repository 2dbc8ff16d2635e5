import CLinux

/// A file that is nowhere but in memory: how more goes through a socket than a message holds.
public enum MemoryFile {
    /// Makes one with `contents`; whoever gets the descriptor reads it from the beginning.
    public static func make(_ name: String, contents: [UInt8]) throws(Errno) -> FileDescriptor {
        let file = FileDescriptor(owning: try once { clinux_memfd_create(name, 1 /* MFD_CLOEXEC */) })
        try file.writeAll(contents)
        _ = try once { lseek(file.raw, 0, SEEK_SET) }
        return file
    }

    /// All that it holds, from the beginning.
    public static func contents(of file: borrowing FileDescriptor, limit: Int) throws(Errno) -> [UInt8] {
        _ = try once { lseek(file.raw, 0, SEEK_SET) }
        return try file.readAll(limit: limit)
    }
}

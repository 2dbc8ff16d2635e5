import CFileCalls
import CLinux
import LinuxSys

/// System calls on files by a directory's descriptor and one name in it, or by a descriptor alone. No symlink is ever
/// followed, and no name leads out of its directory.
public enum FileCalls {
    // MARK: Finding

    public static func status(_ fd: borrowing FileDescriptor) throws(Errno) -> FileStatus {
        let fd = fd.raw
        var status = cfile_status()
        _ = try once { cfile_status(fd, "", &status) }
        return FileStatus(c: status)
    }

    public static func status(of name: FileName, in directory: borrowing FileDescriptor) throws(Errno) -> FileStatus {
        let directory = directory.raw
        var status = cfile_status()
        _ = try once { name.withPointer { cfile_status(directory, $0, &status) } }
        return FileStatus(c: status)
    }

    /// A descriptor that stands for the file and does not open it (O_PATH).
    public static func find(_ name: FileName, in directory: borrowing FileDescriptor) throws(Errno) -> FileDescriptor {
        let directory = directory.raw
        return FileDescriptor(
            owning: try once { name.withPointer { cfile_open(directory, $0, UInt64(CFILE_O_PATH), 0) } })
    }

    /// open(2) of a name, beneath the directory.
    public static func open(_ name: FileName, in directory: borrowing FileDescriptor, flags: CInt, mode: UInt32 = 0)
        throws(Errno)
        -> FileDescriptor
    {
        let directory = directory.raw
        let bits = UInt64(UInt32(bitPattern: flags))
        return FileDescriptor(owning: try once { name.withPointer { cfile_open(directory, $0, bits, mode) } })
    }

    /// An unnamed file in the directory.
    public static func openTemporary(in directory: borrowing FileDescriptor, flags: CInt, mode: UInt32) throws(Errno)
        -> FileDescriptor
    {
        let directory = directory.raw
        let bits = UInt64(UInt32(bitPattern: flags)) | UInt64(CFILE_O_TMPFILE)
        return FileDescriptor(owning: try once { cfile_open(directory, ".", bits, mode) })
    }

    /// Opens what an O_PATH descriptor stands for. Ask its kind before: opening a device or a fifo does something.
    public static func reopen(_ fd: borrowing FileDescriptor, flags: CInt) throws(Errno) -> FileDescriptor {
        let fd = fd.raw
        return FileDescriptor(owning: try retrying { cfile_reopen(fd, flags) })
    }

    /// nil where the file system has no handles.
    public static func handle(of fd: borrowing FileDescriptor) -> FileHandle? {
        let fd = fd.raw
        var type: CInt = 0
        var count = UInt32(CFILE_HANDLE_BYTES)
        var bytes = [UInt8](repeating: 0, count: Int(count))
        guard cfile_handle(fd, &type, &bytes, &count) == 0 else { return nil }
        return FileHandle(type: type, bytes: Array(bytes.prefix(Int(count))))
    }

    /// - Parameter mount: a descriptor, not O_PATH, of any file on the same mount.
    public static func find(_ handle: FileHandle, onMountOf mount: borrowing FileDescriptor) throws(Errno)
        -> FileDescriptor
    {
        let mount = mount.raw
        let count = UInt32(handle.bytes.count)
        return FileDescriptor(
            owning: try once {
                cfile_open_handle(mount, handle.type, handle.bytes, count, CInt(CFILE_O_PATH))
            })
    }

    // MARK: Names

    public static func makeDirectory(_ name: FileName, in directory: borrowing FileDescriptor, mode: UInt32)
        throws(Errno)
    {
        let directory = directory.raw
        _ = try once { name.withPointer { mkdirat(directory, $0, mode_t(truncatingIfNeeded: mode)) } }
    }

    /// A file of any kind but a directory or a symlink.
    /// - Parameter device: of a device node, as makedev(3) makes it.
    public static func makeNode(_ name: FileName, in directory: borrowing FileDescriptor, mode: UInt32, device: UInt64)
        throws(Errno)
    {
        let directory = directory.raw
        _ = try once { name.withPointer { mknodat(directory, $0, mode_t(truncatingIfNeeded: mode), dev_t(device)) } }
    }

    public static func makeSymlink(_ name: FileName, in directory: borrowing FileDescriptor, target: [UInt8])
        throws(Errno)
    {
        let directory = directory.raw
        _ = try once {
            (target + [0]).withUnsafeBytes { target in
                name.withPointer { name in
                    target.baseAddress.map { symlinkat($0.assumingMemoryBound(to: CChar.self), directory, name) } ?? -1
                }
            }
        }
    }

    /// A further name for what `fd` stands for.
    public static func link(_ fd: borrowing FileDescriptor, to name: FileName, in directory: borrowing FileDescriptor)
        throws(Errno)
    {
        let (fd, directory) = (fd.raw, directory.raw)
        _ = try once { name.withPointer { cfile_link(fd, directory, $0) } }
    }

    public static func remove(_ name: FileName, in directory: borrowing FileDescriptor, isDirectory: Bool) throws(Errno)
    {
        let directory = directory.raw
        _ = try once { name.withPointer { unlinkat(directory, $0, isDirectory ? AT_REMOVEDIR : 0) } }
    }

    /// renameat2(2).
    public static func rename(
        _ name: FileName, in directory: borrowing FileDescriptor, to newName: FileName,
        in newDirectory: borrowing FileDescriptor, flags: UInt32
    ) throws(Errno) {
        let (directory, newDirectory) = (directory.raw, newDirectory.raw)
        _ = try once {
            name.withPointer { old in
                newName.withPointer { cfile_rename(directory, old, newDirectory, $0, flags) }
            }
        }
    }

    /// Where a symlink points.
    public static func linkTarget(_ fd: borrowing FileDescriptor) throws(Errno) -> [UInt8] {
        let fd = fd.raw
        var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try once { cfile_read_link(fd, &target, target.count) }
        target.removeLast(target.count - count)
        return target
    }

    // MARK: Attributes

    public static func setMode(_ fd: borrowing FileDescriptor, _ mode: UInt32) throws(Errno) {
        let fd = fd.raw
        _ = try once { cfile_set_mode(fd, mode) }
    }

    /// nil is what is not to be changed.
    public static func setOwner(_ fd: borrowing FileDescriptor, uid: UInt32?, gid: UInt32?) throws(Errno) {
        let fd = fd.raw
        _ = try once { cfile_set_owner(fd, uid ?? UInt32.max, gid ?? UInt32.max) }
    }

    public static func setTimes(_ fd: borrowing FileDescriptor, accessed: FileTime, modified: FileTime) throws(Errno) {
        let fd = fd.raw
        _ = try once { cfile_set_times(fd, accessed.c, modified.c) }
    }

    /// Whether the kernel makes the file's contents when they are read (proc, sysfs, cgroups …): its size says nothing.
    public static func isGenerated(_ fd: borrowing FileDescriptor) -> Bool { cfile_is_generated(fd.raw) != 0 }

    public static func systemStatus(_ fd: borrowing FileDescriptor) throws(Errno) -> FileSystemStatus {
        let fd = fd.raw
        var status = cfile_system_status()
        _ = try once { cfile_system_status(fd, &status) }
        return FileSystemStatus(c: status)
    }

    // MARK: Directories

    /// Fills `buffer` with entries as getdents64(2) makes them; returns how many bytes, 0 at the end.
    public static func readDirectory(_ fd: borrowing FileDescriptor, into buffer: inout [UInt8]) throws(Errno) -> Int {
        let fd = fd.raw
        let room = buffer.count
        return try once { cfile_read_directory(fd, &buffer, room) }
    }

    public static func seek(_ fd: borrowing FileDescriptor, _ offset: Int64, _ whence: CInt) throws(Errno) -> Int64 {
        let fd = fd.raw
        return try once { cfile_seek(fd, offset, whence) }
    }
}

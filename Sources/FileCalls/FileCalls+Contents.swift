import CFileCalls
import CLinux
import LinuxSys

/// What is in files: space, locks, and getting it to the disk.
extension FileCalls {
    public static func truncate(_ fd: borrowing FileDescriptor, to size: UInt64) throws(Errno) {
        let fd = fd.raw
        guard let size = off_t(exactly: size) else { throw Errno(rawValue: EFBIG) }
        _ = try retrying { ftruncate(fd, size) }
    }

    public static func allocate(_ fd: borrowing FileDescriptor, mode: CInt, offset: UInt64, length: UInt64) throws(Errno) {
        let fd = fd.raw
        _ = try retrying { cfile_allocate(fd, mode, offset, length) }
    }

    /// - Returns: how many bytes were copied.
    public static func copy(
        from: borrowing FileDescriptor, at fromOffset: Int64, to: borrowing FileDescriptor, at toOffset: Int64, count: Int
    ) throws(Errno) -> Int {
        let (from, to) = (from.raw, to.raw)
        var fromOffset = fromOffset
        var toOffset = toOffset
        return try once { cfile_copy_range(from, &fromOffset, to, &toOffset, count) }
    }

    public static func synchronize(_ fd: borrowing FileDescriptor, dataOnly: Bool) throws(Errno) {
        let fd = fd.raw
        _ = try once { dataOnly ? fdatasync(fd) : fsync(fd) }
    }

    /// The whole file system that the file is on.
    public static func synchronizeFileSystem(_ fd: borrowing FileDescriptor) throws(Errno) {
        let fd = fd.raw
        _ = try once { cfile_sync_file_system(fd) }
    }

    // MARK: Locks

    /// Takes, changes or gives up a lock that belongs to the open file (F_OFD_SETLK). Never waits.
    /// - Throws: `wouldBlock` when another has it.
    public static func setLock(_ fd: borrowing FileDescriptor, _ lock: RangeLock) throws(Errno) {
        let fd = fd.raw
        do throws(Errno) {
            _ = try once {
                cfile_lock_set(
                    fd, cfile_lock(start: lock.start, length: lock.length, type: lock.kind.number, pid: 0))
            }
        } catch {
            throw error == .accessDenied ? .wouldBlock : error
        }
    }

    /// The lock that is in the way of `lock`, and its owner's pid (-1 for another open file's); nil when there is none.
    public static func conflictingLock(_ fd: borrowing FileDescriptor, _ lock: RangeLock) throws(Errno) -> (lock: RangeLock, pid: Int32)? {
        let fd = fd.raw
        var found = cfile_lock(start: lock.start, length: lock.length, type: lock.kind.number, pid: 0)
        _ = try once { cfile_lock_get(fd, &found) }
        if found.type == F_UNLCK { return nil }
        let kind: RangeLock.Kind = found.type == F_RDLCK ? .read : .write
        return (RangeLock(start: found.start, length: found.length, kind: kind), found.pid)
    }

    /// flock(2), without waiting.
    public static func setWholeLock(_ fd: borrowing FileDescriptor, _ kind: RangeLock.Kind) throws(Errno) {
        let fd = fd.raw
        let operation =
            switch kind {
            case .read: LOCK_SH
            case .write: LOCK_EX
            case .none: LOCK_UN
            }
        _ = try retrying { flock(fd, operation | LOCK_NB) }
    }
}

import FileCalls
import Glibc
import GuestMemory
import LinuxSys

/// Requests that open files.
extension Worker {
    private static let directIO: UInt32 = 1
    private static let keepCache: UInt32 = 2
    /// FUSE_OPEN_KILL_SUIDGID.
    private static let killSetID: UInt32 = 1
    /// What of open(2)'s flags means something to the host. Not O_APPEND: each write says where it goes. Not O_DIRECT:
    /// it keeps the guest's page cache out; the host's is as good as a disk's.
    private static let passed = O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC

    /// - Throws: what a file of the kind answers to open(2) when no device may be opened.
    private func check(_ inode: Inode, _ flags: CInt) throws(Errno) {
        switch inode.kind {
        case .regular: break
        case .directory: throw .isDirectory
        case .symlink: throw Errno(rawValue: ELOOP)
        // Never opened on the host, where they would do something. In the guest its kernel serves them.
        case .fifo, .socket, .characterDevice, .blockDevice: throw .noDeviceOrAddress
        }
        if inode.tree.readOnly, flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0 { throw .readOnlyFileSystem }
    }

    /// The host's flags for the guest's.
    private func hostFlags(_ flags: CInt) -> CInt {
        var flags = flags & Self.passed
        // The guest fills up pages by reading when it gathers writes.
        let gathers = fs.monitor.withLock { fs.negotiated.contains(.writebackCache) }
        if gathers, flags & O_ACCMODE == O_WRONLY { flags = flags & ~O_ACCMODE | O_RDWR }
        return flags
    }

    func open(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let flags = CInt(bitPattern: try body.number(UInt32.self))
        let openFlags: UInt32 = try body.number()
        if header.node == InodeTable.virtualRoot { throw .isDirectory }
        let inode = try fs.inode(header.node)
        if flags & (O_ACCMODE | O_TRUNC) != O_RDONLY {
            if isEmulated(header, .modified, inode) { return try openForTheAgent(inode) }
            try refuseAgent(header)
        }
        try check(inode, flags)
        let found = try fs.descriptor(of: inode)
        if flags & O_TRUNC != 0 { credentials.keepSetID(openFlags & Self.killSetID == 0) }
        let host = hostFlags(flags)
        let opened =
            flags & O_TRUNC == 0
            ? SharedDescriptor(try FileCalls.reopen(found.descriptor, flags: host))
            : try changing(inode: inode) { () throws(Errno) in
                SharedDescriptor(try FileCalls.reopen(found.descriptor, flags: host))
            }
        let file = OpenFile(inode, opened, flags: host & ~O_TRUNC)
        return try answerOpen(.file(file), flags: try cacheFlags(file, truncated: flags & O_TRUNC != 0))
    }

    /// The agent opens a file for writing that the host has written to, and will write nothing: so nothing is opened for
    /// writing.
    private func openForTheAgent(_ inode: Inode) throws(Errno) -> Answer {
        guard inode.kind == .regular else { throw .noDeviceOrAddress }
        let found = try fs.descriptor(of: inode)
        let opened = SharedDescriptor(try FileCalls.reopen(found.descriptor, flags: O_RDONLY))
        return try answerOpen(.file(OpenFile(inode, opened, flags: O_RDONLY, isEmulated: true)), flags: 0)
    }

    /// Whether the guest may keep what it has of the contents.
    private func cacheFlags(_ file: OpenFile, truncated: Bool) throws(Errno) -> UInt32 {
        let status = try FileCalls.status(file.descriptor.descriptor)
        // The guest would read no byte of a file that says to have none.
        if status.size == 0, FileCalls.isGenerated(file.descriptor.descriptor) { return Self.directIO }
        switch file.inode.tree.cache {
        case .always: return Self.keepCache
        case .never: return 0
        case .auto:
            let now = Int64(clamping: Clock.realtimeNanoseconds() / 1_000_000_000)
            let stamp = ContentStamp(status)
            return fs.monitor.withLock {
                let isSame = file.inode.contents == stamp
                file.inode.contents = stamp.isSettled(at: now) && !truncated ? stamp : nil
                return isSame ? Self.keepCache : 0
            }
        }
    }

    func create(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let flags = CInt(bitPattern: try body.number(UInt32.self))
        let mode: UInt32 = try body.number()
        let umask: UInt32 = try body.number()
        try body.skip(4)
        let bytes = try body.text()
        if bytes.count > FileName.mostBytes { throw .tooLong }
        guard let name = FileName(bytes) else { throw .invalidArgument }
        try refuseAgent(header)
        let parent = try fs.writableDirectory(header.node)
        let directory = try fs.descriptor(of: parent)
        credentials.create(uid: header.uid, gid: header.gid, umask: umask)
        let host = hostFlags(flags) & ~O_TRUNC
        let opened: FileDescriptor
        do throws(Errno) {
            // Only what is not there is made: what is could be a device by now.
            opened = try changing(parent, name) { () throws(Errno) in
                try FileCalls.open(
                    name, in: directory.descriptor, flags: host | O_CREAT | O_EXCL, mode: mode & 0o7777)
            }
        } catch .fileExists where flags & O_EXCL == 0 {
            return try createExisting(header, name, in: parent, directory, flags: host | (flags & O_TRUNC))
        } catch {
            throw error
        }
        return try answerNew(SharedDescriptor(opened), name, in: parent, flags: host)
    }

    /// Somebody was quicker, on the host or in the guest. What is there is opened, if who asks may do that: the guest's
    /// kernel has not looked at its permissions. Else the guest looks again.
    private func createExisting(
        _ header: RequestHeader, _ name: FileName, in parent: Inode, _ directory: SharedDescriptor, flags: CInt
    ) throws(Errno) -> Answer {
        let found = SharedDescriptor(try FileCalls.find(name, in: directory.descriptor))
        let status = try FileCalls.status(found.descriptor)
        guard status.kind == .regular, Self.mayOpen(status, header, flags) else { throw .stale }
        credentials.keepSetID(flags & O_TRUNC == 0)
        let opened = try changing(parent, name) { () throws(Errno) in
            SharedDescriptor(try FileCalls.reopen(found.descriptor, flags: flags))
        }
        return try answerNew(opened, name, in: parent, flags: flags & ~O_TRUNC)
    }

    /// By the mode's bits alone: of groups and access lists only the guest's kernel knows.
    private static func mayOpen(_ status: FileStatus, _ header: RequestHeader, _ flags: CInt) -> Bool {
        if header.uid == 0 { return true }
        let shift: UInt32 = status.uid == header.uid ? 6 : status.gid == header.gid ? 3 : 0
        let bits = status.mode >> shift
        let access = flags & O_ACCMODE
        let reads = access != O_WRONLY
        let writes = access != O_RDONLY || flags & O_TRUNC != 0
        return (!reads || bits & 4 != 0) && (!writes || bits & 2 != 0)
    }

    private func answerNew(
        _ opened: SharedDescriptor, _ name: FileName, in parent: Inode, flags: CInt
    ) throws(Errno) -> Answer {
        let status = try FileCalls.status(opened.descriptor)
        let inode = try fs.enter(status, name, in: parent, parent.tree)
        append(entry: inode, status, in: parent)
        do throws(Errno) {
            return try answerOpen(.file(OpenFile(inode, opened, flags: flags)), flags: 0)
        } catch {
            fs.leave(inode)
            throw error
        }
    }

    func temporaryFile(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let flags = CInt(bitPattern: try body.number(UInt32.self))
        let mode: UInt32 = try body.number()
        let umask: UInt32 = try body.number()
        try refuseAgent(header)
        let parent = try fs.writableDirectory(header.node)
        let directory = try fs.descriptor(of: parent)
        credentials.create(uid: header.uid, gid: header.gid, umask: umask)
        let host = (hostFlags(flags) & ~O_TRUNC) | (flags & O_EXCL)
        let opened = SharedDescriptor(
            try FileCalls.openTemporary(in: directory.descriptor, flags: host, mode: mode & 0o7777))
        let status = try FileCalls.status(opened.descriptor)
        // It has no name, so it is found by its descriptor as long as the guest knows it.
        let inode = try fs.enterUnnamed(status, opened, parent.tree)
        append(entry: inode, status, in: parent)
        do throws(Errno) {
            return try answerOpen(.file(OpenFile(inode, opened, flags: host)), flags: 0)
        } catch {
            fs.leave(inode)
            throw error
        }
    }
}

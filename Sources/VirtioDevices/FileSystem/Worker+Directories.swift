import FileCalls
import Glibc
import GuestMemory
import LinuxSys
import Synchronization

/// Requests about open directories.
extension Worker {
    private enum OpenFlags {
        static let keepCache: UInt32 = 2
        static let cacheDirectory: UInt32 = 8
    }

    /// Bytes of one answer, whatever room the guest has for it: it is put together here.
    private static let mostListed = 1 << 20
    /// Times that a directory was opened without having changed.
    private static let listingsBeforeCache = 2

    func openDirectory(_ header: RequestHeader) throws(Errno) -> Answer {
        if header.node == InodeTable.virtualRoot {
            return try answerOpen(.directory(OpenDirectory(nil, nil)), flags: 0)
        }
        let inode = try fs.inode(header.node)
        guard inode.kind == .directory else { throw .notDirectory }
        let found = try fs.descriptor(of: inode)
        let opened = SharedDescriptor(try FileCalls.reopen(found.descriptor, flags: O_RDONLY | O_DIRECTORY))
        let directory = OpenDirectory(inode, opened)
        let flags = try cacheFlags(inode, opened)
        directoryAhead = flags == 0 && inode.tree.cache != .never ? directory : nil
        return try answerOpen(.directory(directory), flags: flags)
    }

    /// Whether the guest may keep the list of names. It compares the directory's time before it uses the list, so
    /// that is enough unless a change can leave the time as it is: within one tick of the host's clock. Keeping it costs
    /// the guest a good part of what the reading costs, so that it pays for what is read again and again.
    private func cacheFlags(_ inode: Inode, _ opened: SharedDescriptor) throws(Errno) -> UInt32 {
        switch inode.tree.cache {
        case .never: return 0
        case .always: return OpenFlags.cacheDirectory | OpenFlags.keepCache
        case .auto:
            let status = try FileCalls.status(opened.descriptor)
            let now = Int64(clamping: Clock.realtimeNanoseconds() / 1_000_000_000)
            let (age, overflow) = now.subtractingReportingOverflow(status.modified.seconds)
            let reads = fs.monitor.withLock { inode.noteListing(status.modified) }
            return !overflow && age > 1 && reads >= Self.listingsBeforeCache
                ? OpenFlags.cacheDirectory | OpenFlags.keepCache : 0
        }
    }

    /// Gives an open file or directory its number.
    func answerOpen(_ member: OpenFiles.Member, flags: UInt32) throws(Errno) -> Answer {
        let handle = try fs.monitor.withLock { () throws(Errno) in try fs.files.add(member) }
        reply.append(handle)
        reply.append(flags)
        reply.append(UInt32(0))
        return .reply
    }

    func synchronizeDirectory(_ body: inout ByteReader) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        let flags: UInt32 = try body.number()
        let directory = try fs.monitor.withLock { () throws(Errno) in try fs.files.directory(handle) }
        if let descriptor = directory.descriptor {
            try FileCalls.synchronize(descriptor.descriptor, dataOnly: flags & 1 != 0)
        }
        return .reply
    }

    func readDirectory(_ header: RequestHeader, _ body: inout ByteReader, plus: Bool) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        let offset = Int64(bitPattern: try body.number())
        let size: UInt32 = try body.number()
        let directory = try fs.monitor.withLock { () throws(Errno) in try fs.files.directory(handle) }
        let limit = ReplyHeader.byteCount + min(Int(size), room, Self.mostListed)
        guard let inode = directory.inode else {
            readVirtualRoot(from: offset, limit, plus)
            return .reply
        }
        guard !inode.tree.isRemoved else { throw .stale }
        directoryAhead = plus && inode.tree.cache != .never ? directory : nil
        let stamp = fs.changes.load(ordering: .sequentiallyConsistent)
        try directory.monitor.withLock { () throws(Errno) in
            try directory.seek(to: offset)
            directory.dropStale(stamp: stamp)
            while let entry = try directory.peek() {
                guard try append(entry, inode, directory, limit, plus) else { break }
                directory.advance(over: entry)
            }
        }
        fs.directoryBuffers.note(directory)
        return .reply
    }

    private static func paddedBytes(_ name: Int) -> Int { (24 + name + 7) & ~7 }

    /// - Returns: false when there is no room for it any more.
    private func append(
        _ entry: OpenDirectory.Entry, _ parent: Inode, _ directory: OpenDirectory, _ limit: Int, _ plus: Bool
    ) throws(Errno) -> Bool {
        let bytes = Self.paddedBytes(entry.name.count) + (plus ? Self.entryBytes : 0)
        guard reply.count + bytes <= limit else { return false }
        if plus { appendKnown(entry, parent, directory) }
        append(entry: parent.tree.guestInode(entry.inode), entry.next, entry.type, entry.name)
        return true
    }

    /// The entry as LOOKUP would give it. For "." and "..", and for what can't be had, with nodeid 0: then the guest
    /// asks when it wants to know.
    private func appendKnown(_ entry: OpenDirectory.Entry, _ parent: Inode, _ directory: OpenDirectory) {
        if let name = FileName(entry.name), let descriptor = directory.descriptor,
            let status = directory.statusAhead()
                ?? (try? FileCalls.status(of: name, in: descriptor.descriptor)),
            let inode = try? fs.enter(status, name, in: parent, parent.tree)
        {
            append(entry: inode, status, in: parent)
        } else {
            reply.append(zeros: Self.entryBytes)
        }
    }

    /// `struct fuse_dirent`.
    private func append(entry inode: UInt64, _ next: Int64, _ type: UInt8, _ name: some Collection<UInt8>) {
        reply.append(inode)
        reply.append(next)
        reply.append(UInt32(name.count))
        reply.append(UInt32(type))
        reply.append(name)
        reply.append(zeros: Self.paddedBytes(name.count) - 24 - name.count)
    }

    private func readVirtualRoot(from offset: Int64, _ limit: Int, _ plus: Bool) {
        let trees = fs.monitor.withLock { fs.trees }
        for (index, tree) in trees.enumerated() where Int64(index) >= offset {
            let name = tree.shared.name.bytes
            let bytes = Self.paddedBytes(name.count) + (plus ? Self.entryBytes : 0)
            guard reply.count + bytes <= limit else { return }
            if plus { reply.append(zeros: Self.entryBytes) }
            // DT_DIR and DT_REG are the upper bits of the mode.
            let type = UInt8((tree.isFile ? FileKind.regular : .directory).rawValue >> 12)
            append(entry: UInt64(index) + 2, Int64(index) + 1, type, name)
        }
    }

    /// Prepares what the guest is going to ask for next.
    func lookAhead() {
        guard let directory = directoryAhead else { return }
        let stamp = fs.changes.load(ordering: .sequentiallyConsistent)
        if !directory.lookAhead(stamp: stamp) { directoryAhead = nil }
        fs.directoryBuffers.note(directory)
    }
}

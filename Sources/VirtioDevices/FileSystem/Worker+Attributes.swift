import FileCalls
import Glibc
import GuestMemory
import LinuxSys

/// Requests about what an inode is like.
extension Worker {
    private static let getByHandle: UInt32 = 1

    /// `FATTR_…`: what SETATTR is to change.
    private struct Changes: OptionSet {
        let rawValue: UInt32

        static let mode = Changes(rawValue: 1)
        static let uid = Changes(rawValue: 2)
        static let gid = Changes(rawValue: 4)
        static let size = Changes(rawValue: 8)
        static let accessed = Changes(rawValue: 16)
        static let modified = Changes(rawValue: 32)
        static let byHandle = Changes(rawValue: 64)
        static let accessedNow = Changes(rawValue: 128)
        static let modifiedNow = Changes(rawValue: 256)
        static let killSetID = Changes(rawValue: 2048)
    }

    func getAttributes(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let flags: UInt32 = try body.number()
        try body.skip(4)
        let handle: UInt64 = try body.number()
        if header.node == InodeTable.virtualRoot {
            reply.append(CachePolicy.always.entrySeconds)
            reply.append(UInt64(0))
            appendVirtualRoot()
            return .reply
        }
        let inode = try fs.inode(header.node)
        appendAttributesAnswer(try status(inode, flags & Self.getByHandle != 0 ? handle : nil), inode.tree)
        return .reply
    }

    private func status(_ inode: Inode, _ handle: UInt64?) throws(Errno) -> FileStatus {
        if let handle, let file = fs.monitor.withLock({ try? fs.files.file(handle) }), file.inode === inode {
            return try FileCalls.status(file.descriptor.descriptor)
        }
        return try fs.status(of: inode)
    }

    func setAttributes(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let changes = Changes(rawValue: try body.number())
        try body.skip(4)
        let handle: UInt64 = try body.number()
        let size: UInt64 = try body.number()
        try body.skip(8)
        let accessedSeconds: Int64 = try body.number()
        let modifiedSeconds: Int64 = try body.number()
        try body.skip(8)
        let accessedNanoseconds: UInt32 = try body.number()
        let modifiedNanoseconds: UInt32 = try body.number()
        try body.skip(4)
        let mode: UInt32 = try body.number()
        try body.skip(4)
        let uid: UInt32 = try body.number()
        let gid: UInt32 = try body.number()
        if header.node == InodeTable.virtualRoot { throw .readOnlyFileSystem }
        let inode = try fs.inode(header.node)
        if inode.tree.readOnly { throw .readOnlyFileSystem }

        let descriptor = try fs.descriptor(ofOpenOr: inode, changes.contains(.byHandle) ? handle : nil)
        if changes.contains(.mode) {
            guard inode.kind != .symlink else { throw .notSupported }
            credentials.keepSetID(true)
            try FileCalls.setMode(descriptor.descriptor, mode & 0o7777)
        }
        if !changes.isDisjoint(with: [.uid, .gid]) {
            try FileCalls.setOwner(
                descriptor.descriptor, uid: changes.contains(.uid) ? uid : nil, gid: changes.contains(.gid) ? gid : nil)
        }
        if changes.contains(.size) {
            guard inode.kind == .regular else { throw inode.kind == .directory ? .isDirectory : .invalidArgument }
            credentials.keepSetID(!changes.contains(.killSetID))
            try truncate(inode, changes.contains(.byHandle) ? handle : nil, descriptor, to: size)
        }
        if !changes.isDisjoint(with: [.accessed, .modified]) {
            let accessed = Self.time(
                changes.contains(.accessed), now: changes.contains(.accessedNow), accessedSeconds, accessedNanoseconds)
            let modified = Self.time(
                changes.contains(.modified), now: changes.contains(.modifiedNow), modifiedSeconds, modifiedNanoseconds)
            try FileCalls.setTimes(descriptor.descriptor, accessed: accessed, modified: modified)
        }
        appendAttributesAnswer(try FileCalls.status(descriptor.descriptor), inode.tree)
        return .reply
    }

    private static func time(_ isSet: Bool, now: Bool, _ seconds: Int64, _ nanoseconds: UInt32) -> FileTime {
        if !isSet { return .omitted }
        return now ? .now : FileTime(seconds: seconds, nanoseconds: min(nanoseconds, 999_999_999))
    }

    private func truncate(_ inode: Inode, _ handle: UInt64?, _ found: SharedDescriptor, to size: UInt64)
        throws(Errno)
    {
        if let handle, let file = fs.monitor.withLock({ try? fs.files.file(handle) }), file.inode === inode,
            file.isWritable
        {
            return try FileCalls.truncate(file.descriptor.descriptor, to: size)
        }
        try FileCalls.truncate(FileCalls.reopen(found.descriptor, flags: O_WRONLY), to: size)
    }

    func systemStatus(_ header: RequestHeader) throws(Errno) -> Answer {
        if header.node == InodeTable.virtualRoot {
            // Nothing can be put there.
            for _ in 0..<5 { reply.append(UInt64(0)) }
            reply.append(UInt32(4096))
            reply.append(UInt32(FileName.mostBytes))
            reply.append(UInt32(4096))
            reply.append(zeros: 28)
            return .reply
        }
        let status = try FileCalls.systemStatus(fs.descriptor(of: fs.inode(header.node)).descriptor)
        reply.append(status.blocks)
        reply.append(status.freeBlocks)
        reply.append(status.availableBlocks)
        reply.append(status.files)
        reply.append(status.freeFiles)
        reply.append(status.blockSize)
        reply.append(status.nameLength)
        reply.append(status.fragmentSize)
        reply.append(zeros: 28)
        return .reply
    }

    func extendedStatus(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let flags: UInt32 = try body.number()
        try body.skip(4)
        let handle: UInt64 = try body.number()
        // The guest asks GETATTR instead where there is nothing more to be told.
        if header.node == InodeTable.virtualRoot { throw .notImplemented }
        let inode = try fs.inode(header.node)
        let status = try status(inode, flags & Self.getByHandle != 0 ? handle : nil)
        reply.append(inode.tree.cache.entrySeconds)
        reply.append(UInt64(0))
        reply.append(zeros: 16)
        append(extended: status)
        return .reply
    }

    /// `struct fuse_statx`, with STATX_BASIC_STATS and STATX_BTIME.
    private func append(extended status: FileStatus) {
        reply.append(UInt32(0xFFF))
        reply.append(status.blockSize)
        reply.append(UInt64(0))
        reply.append(status.links)
        reply.append(status.uid)
        reply.append(status.gid)
        reply.append(UInt16(truncatingIfNeeded: status.mode))
        reply.append(UInt16(0))
        reply.append(status.inode)
        reply.append(status.size)
        reply.append(status.blocks)
        reply.append(UInt64(0))
        for time in [status.accessed, status.born, status.changed, status.modified] {
            reply.append(time.seconds)
            reply.append(time.nanoseconds)
            reply.append(UInt32(0))
        }
        reply.append(status.specialNumber.major)
        reply.append(status.specialNumber.minor)
        reply.append(status.deviceNumber.major)
        reply.append(status.deviceNumber.minor)
        reply.append(zeros: 112)
    }
}

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
        if isEmulated(header, .attributes, inode) {
            appendAttributesAnswer(try fs.status(of: inode), inode.tree)
            return .reply
        }
        // Times that the guest's kernel has gathered come from whoever syncs, which can be the agent.
        if !changes.isDisjoint(with: [.mode, .uid, .gid, .size]) { try refuseAgent(header) }
        if inode.tree.readOnly { throw .readOnlyFileSystem }
        let change = Change(
            what: changes, handle: changes.contains(.byHandle) ? handle : nil, size: size, mode: mode, uid: uid,
            gid: gid,
            accessed: Self.time(
                changes.contains(.accessed), now: changes.contains(.accessedNow), accessedSeconds, accessedNanoseconds),
            modified: Self.time(
                changes.contains(.modified), now: changes.contains(.modifiedNow), modifiedSeconds, modifiedNanoseconds))
        let status = try changing(inode: inode) { () throws(Errno) in try apply(change, to: inode) }
        appendAttributesAnswer(status, inode.tree)
        return .reply
    }

    /// What a SETATTR asks for.
    private struct Change {
        var what: Changes
        var handle: UInt64?
        var size: UInt64
        var mode: UInt32
        var uid: UInt32
        var gid: UInt32
        var accessed: FileTime
        var modified: FileTime
    }

    private func apply(_ change: Change, to inode: Inode) throws(Errno) -> FileStatus {
        let changes = change.what
        let descriptor = try fs.descriptor(ofOpenOr: inode, change.handle)
        if changes.contains(.mode) {
            guard inode.kind != .symlink else { throw .notSupported }
            credentials.keepSetID(true)
            try FileCalls.setMode(descriptor.descriptor, change.mode & 0o7777)
        }
        if !changes.isDisjoint(with: [.uid, .gid]) {
            // Where the group can't execute, set-group-ID stays for those who may keep it: as for root.
            credentials.keepSetID(true)
            try FileCalls.setOwner(
                descriptor.descriptor, uid: changes.contains(.uid) ? change.uid : nil,
                gid: changes.contains(.gid) ? change.gid : nil)
        }
        if changes.contains(.size) {
            guard inode.kind == .regular else { throw inode.kind == .directory ? .isDirectory : .invalidArgument }
            credentials.keepSetID(!changes.contains(.killSetID))
            try truncate(inode, change.handle, descriptor, to: change.size)
        }
        if !changes.isDisjoint(with: [.accessed, .modified]) {
            try FileCalls.setTimes(descriptor.descriptor, accessed: change.accessed, modified: change.modified)
        }
        return try FileCalls.status(descriptor.descriptor)
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
        append(extended: status, inode.tree)
        return .reply
    }

    /// `struct fuse_statx`, with STATX_BASIC_STATS and STATX_BTIME.
    private func append(extended status: FileStatus, _ tree: Tree) {
        reply.append(UInt32(0xFFF))
        reply.append(status.blockSize)
        reply.append(UInt64(0))
        reply.append(status.links)
        reply.append(status.uid)
        reply.append(status.gid)
        reply.append(UInt16(truncatingIfNeeded: status.mode))
        reply.append(UInt16(0))
        reply.append(tree.guestInode(status.inode))
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

import FileCalls
import Glibc
import GuestMemory
import LinuxSys

/// The beginning and the end of a session.
extension Worker {
    private static let major: UInt32 = 7
    private static let minor: UInt32 = 38
    /// Older guests have other structures.
    private static let oldestMinor: UInt32 = 31

    /// 1 MiB in a request: what fits in pages, and in the queue of 1024 descriptors.
    private static let mostPages: UInt16 = 256
    private static let mostWrite: UInt32 = 1 << 20

    private static let wanted: InitFlags = [
        .asyncRead, .atomicTruncate, .exportSupport, .bigWrites, .ownUmask, .autoInvalidate,
        .readDirectoryPlus, .readDirectoryPlusAuto, .asyncDirect, .parallelDirectories, .posixACL, .maxPages,
        .cacheSymlinks, .submounts, .killPrivileges2, .extendedSetXAttribute, .extended, .idMappedMounts,
    ]

    func initialize(_ body: inout ByteReader) throws(Errno) -> Answer {
        let major: UInt32 = try body.number()
        let minor: UInt32 = try body.number()
        let readAhead: UInt32 = try body.number()
        let low: UInt32 = try body.number()
        fs.forgetAll()
        if major > Self.major {
            // It comes again with ours.
            reply.append(Self.major)
            reply.append(Self.minor)
            return .reply
        }
        guard major == Self.major, minor >= Self.oldestMinor else { throw Errno(rawValue: EPROTO) }
        var offered = UInt64(low)
        if offered & InitFlags.extended.rawValue != 0 { offered |= UInt64(try body.number(UInt32.self)) << 32 }
        let flags = fs.monitor.withLock { () -> InitFlags in
            var wanted = Self.wanted
            if fs.sharesLocks { wanted.formUnion([.posixLocks, .flockLocks]) }
            // With it the guest decides size and times of files by itself: only where nobody else changes them.
            if fs.gathersWrites, !fs.trees.isEmpty, fs.trees.allSatisfy({ $0.cache == .always }) {
                wanted.insert(.writebackCache)
            }
            fs.negotiated = wanted.intersection(InitFlags(rawValue: offered))
            return fs.negotiated
        }
        reply.append(Self.major)
        reply.append(min(minor, Self.minor))
        reply.append(readAhead)
        reply.append(UInt32(truncatingIfNeeded: flags.rawValue))
        // Requests in the background (read-ahead), and how many of them count as congestion.
        reply.append(UInt16(64))
        reply.append(UInt16(48))
        reply.append(Self.mostWrite)
        // Granularity of times in nanoseconds.
        reply.append(UInt32(1))
        reply.append(Self.mostPages)
        reply.append(UInt16(0))
        reply.append(UInt32(truncatingIfNeeded: flags.rawValue >> 32))
        reply.append(zeros: 28)
        return .reply
    }

    func destroy() -> Answer {
        fs.forgetAll()
        return .reply
    }

    /// A request that is waiting is not waited for any more.
    func interrupt(_ body: inout ByteReader) -> Answer {
        guard let unique = try? body.number(UInt64.self) else { return .none }
        if let waiter = fs.monitor.withLock({ fs.locks.endWaiting(unique) }) {
            late.append(LateAnswer(place: waiter.chain, error: .interrupted))
        }
        return .none
    }

    func synchronizeFileSystem(_ header: RequestHeader) throws(Errno) -> Answer {
        if header.node == InodeTable.virtualRoot {
            for tree in fs.monitor.withLock({ fs.trees }) where !tree.readOnly { try synchronize(tree) }
        } else {
            let tree = try fs.inode(header.node).tree
            if !tree.readOnly { try synchronize(tree) }
        }
        return .reply
    }

    private func synchronize(_ tree: Tree) throws(Errno) {
        if let mount = tree.mount { return try FileCalls.synchronizeFileSystem(mount.descriptor) }
        let root = tree.shared.root
        guard let kind = try FileCalls.status(root.descriptor).kind, kind == .directory || kind == .regular else {
            return
        }
        try FileCalls.synchronizeFileSystem(FileCalls.reopen(root.descriptor, flags: O_RDONLY))
    }
}

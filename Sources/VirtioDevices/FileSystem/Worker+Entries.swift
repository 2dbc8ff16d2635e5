import FileCalls
import GuestMemory
import LinuxSys

/// The structures by which the guest is told of inodes (`fuse_entry_out`, `fuse_attr`).
extension Worker {
    static let entryBytes = 128
    /// FUSE_ATTR_SUBMOUNT: another file system begins here.
    private static let submount: UInt32 = 1

    /// Tells the guest of what is at `name`.
    func append(entry inode: Inode, _ status: FileStatus, in parent: Inode?) {
        reply.append(inode.id)
        // Generation: nodeids are not used twice.
        reply.append(UInt64(0))
        // Of what is in a watched directory the guest asks each time, so that it sees what the agent does there.
        appendTimeouts(inode.tree, asksAgain: parent?.isWatched == true)
        appendAttributes(status, inode.tree, flags: Self.isSubmount(status, in: parent) ? Self.submount : 0)
    }

    /// What the host has mounted within a tree. Not the trees' own roots: a submount of Linux 6.1 knows no ACLs
    /// (it lacks SB_POSIXACL), and each mount namespace that walks into one makes another file system of it.
    private static func isSubmount(_ status: FileStatus, in parent: Inode?) -> Bool {
        guard status.kind == .directory, let parent else { return false }
        return status.mount != parent.key.mount || status.device != parent.key.device
    }

    /// entry_valid, attr_valid, and the nanoseconds of both.
    private func appendTimeouts(_ tree: Tree, asksAgain: Bool) {
        reply.append(asksAgain ? 0 : tree.cache.entrySeconds)
        reply.append(tree.cache.entrySeconds)
        reply.append(UInt64(0))
    }

    /// `fuse_attr_out`.
    func appendAttributesAnswer(_ status: FileStatus, _ tree: Tree) {
        reply.append(tree.cache.entrySeconds)
        reply.append(UInt64(0))
        appendAttributes(status, tree, flags: 0)
    }

    private func appendAttributes(_ status: FileStatus, _ tree: Tree, flags: UInt32) {
        reply.append(tree.guestInode(status.inode))
        reply.append(status.size)
        reply.append(status.blocks)
        let times = (status.accessed, status.modified, status.changed)
        reply.append(times.0.seconds)
        reply.append(times.1.seconds)
        reply.append(times.2.seconds)
        reply.append(times.0.nanoseconds)
        reply.append(times.1.nanoseconds)
        reply.append(times.2.nanoseconds)
        reply.append(status.mode)
        reply.append(status.links)
        reply.append(status.uid)
        reply.append(status.gid)
        reply.append(Self.deviceNumber(status.specialNumber))
        reply.append(status.blockSize)
        reply.append(flags)
    }

    /// As Linux packs it into 32 bits.
    private static func deviceNumber(_ number: (major: UInt32, minor: UInt32)) -> UInt32 {
        number.minor & 0xFF | number.major << 8 | (number.minor & ~0xFF) << 12
    }

    /// An entry for what is no more.
    func append(gone inode: Inode) {
        reply.append(inode.id)
        for _ in 0..<4 { reply.append(UInt64(0)) }
        reply.append(inode.tree.guestInode(inode.key.inode))
        for _ in 0..<5 { reply.append(UInt64(0)) }
        for _ in 0..<3 { reply.append(UInt32(0)) }
        reply.append(inode.kind.rawValue | 0o600)
        reply.append(UInt32(1))
        for _ in 0..<3 { reply.append(UInt32(0)) }
        reply.append(UInt32(4096))
        reply.append(UInt32(0))
    }

    /// The virtual root: a directory of nobody else's making, that nobody can change.
    func appendVirtualRoot() {
        let kindAndMode: UInt32 = 0o040555
        reply.append(InodeTable.virtualRoot)
        for _ in 0..<5 { reply.append(UInt64(0)) }
        for _ in 0..<3 { reply.append(UInt32(0)) }
        reply.append(kindAndMode)
        reply.append(UInt32(2))
        reply.append(UInt32(0))
        reply.append(UInt32(0))
        reply.append(UInt32(0))
        reply.append(UInt32(4096))
        reply.append(UInt32(0))
    }

    /// What the guest is told of what was just made.
    func enterNew(_ name: FileName, in parent: Inode, _ directory: SharedDescriptor) throws(Errno) -> Answer {
        let status = try FileCalls.status(of: name, in: directory.descriptor)
        let inode = try fs.enter(status, name, in: parent, parent.tree)
        append(entry: inode, status, in: parent)
        return .reply
    }
}

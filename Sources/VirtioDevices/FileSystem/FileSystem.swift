import FileCalls
import Glibc
import LinuxSys
import Synchronization
import VMMWire

/// What the guest's file system consists of: trees, inodes, open files, locks. Used by several threads: what changes is
/// guarded by `monitor`, which is never held during a system call that may wait.
final class FileSystem: @unchecked Sendable {
    let limits: FileSystemLimits
    /// Locks are taken on the host.
    let sharesLocks: Bool
    /// The guest may gather writes, if nobody else changes any tree.
    let gathersWrites: Bool
    let monitor = Monitor()
    let directoryBuffers = DirectoryBuffers()

    // Guarded by the monitor.
    var trees: [Tree] = []
    private var nextTree: UInt32 = 1
    var inodes: InodeTable
    var files: OpenFiles
    var locks: LockTable
    var negotiated = InitFlags()
    var counters = FileSystemCounters()
    /// Something is watched: changes are to be told apart.
    var isWatching = false
    private var hostWatch: HostWatch?
    var emulation: Emulation?
    private var gone: UInt64 = 0

    /// Counts requests that may change something, when they begin and when they end.
    let changes = Atomic<UInt64>(0)

    init(_ limits: FileSystemLimits, sharesLocks: Bool, gathersWrites: Bool) {
        self.limits = limits
        self.sharesLocks = sharesLocks
        self.gathersWrites = gathersWrites
        inodes = InodeTable(limits)
        files = OpenFiles(limit: limits.openFiles)
        locks = LockTable(limit: limits.lockOwners)
    }

    /// Does, with the monitor held, what can let go of inodes' descriptors, and closes these without it.
    func lettingGo<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        var released: [SharedDescriptor] = []
        defer { withExtendedLifetime(released) {} }
        return try monitor.withLock { () throws(Failure) in
            defer { released = inodes.takeReleased() }
            return try body()
        }
    }

    // MARK: Trees

    /// - Throws: `fileExists` for a name that is taken; `incompatible` for a tree that others change too, when the guest has
    ///   begun to gather writes. It does so for all trees or for none, and would neither see nor spare what they write.
    func add(_ shared: SharedTree) throws(Errno) {
        let number = monitor.withLock { () -> UInt32 in
            defer { nextTree += 1 }
            return nextTree
        }
        let tree = try Tree(number, shared)
        try monitor.withLock { () throws(Errno) in
            if trees.contains(where: { $0.shared.name == shared.name }) { throw .fileExists }
            if negotiated.contains(.writebackCache), shared.cache != .always { throw .incompatible }
            trees.append(tree)
        }
    }

    /// What the guest still has of the tree is stale from now on.
    /// - Throws: `noSuchFile` when there is no tree of this name.
    func remove(_ name: FileName) throws(Errno) {
        let closed = try lettingGo { () throws(Errno) in
            guard let index = trees.firstIndex(where: { $0.shared.name == name }) else { throw .noSuchFile }
            let tree = trees.remove(at: index)
            tree.isRemoved = true
            for inode in inodes.all where inode.tree === tree { inodes.drop(inode) }
            return (files.removeAll(of: tree), locks.removeAll(of: tree), tree)
        }
        withExtendedLifetime(closed) {}
    }

    /// The guest has a new driver, or none any more.
    func forgetAll() {
        let closed = lettingGo {
            let closed = (locks.removeAll(), files.removeAll())
            inodes.removeAll()
            negotiated = []
            return closed
        }
        withExtendedLifetime(closed) {}
    }

    // MARK: Watching the host

    /// Tells `report` of changes that the host makes to these inodes of a tree.
    /// - Throws: `noSuchFile` when there is no tree of this name, and what inotify_init(2) says.
    func watch(
        _ numbers: Set<UInt64>, in name: FileName, report: @escaping @Sendable (FileChange) -> Void
    ) throws(Errno) {
        let (tree, known) = monitor.withLock { (trees.first { $0.shared.name == name }, hostWatch) }
        guard let tree else { throw .noSuchFile }
        if let known { return known.watch(numbers, in: tree) }
        if numbers.isEmpty { return }
        let new = try HostWatch(self, report: report)
        monitor.withLock { hostWatch = new }
        new.watch(numbers, in: tree)
    }

    func changeHandled() { monitor.withLock { hostWatch }?.handled() }

    func watchAtWork() -> HostWatch? { monitor.withLock { isWatching ? hostWatch : nil } }

    /// With the monitor held.
    func nextGoneKey(in tree: Tree) -> InodeKey {
        gone &+= 1
        return InodeKey(gone: gone, in: tree)
    }

    // MARK: Finding inodes

    func inode(_ id: UInt64) throws(Errno) -> Inode {
        try monitor.withLock { () throws(Errno) in
            guard let inode = inodes[id], !inode.tree.isRemoved else { throw .stale }
            return inode
        }
    }

    /// The directory of a request that changes it.
    func writableDirectory(_ id: UInt64) throws(Errno) -> Inode { try directory(id, writable: true) }

    /// - Parameter writable: it is going to be changed; else the request only looks like that.
    func directory(_ id: UInt64, writable: Bool) throws(Errno) -> Inode {
        if id == InodeTable.virtualRoot { throw .readOnlyFileSystem }
        let inode = try inode(id)
        guard inode.kind == .directory else { throw .notDirectory }
        if writable, inode.tree.readOnly { throw .readOnlyFileSystem }
        return inode
    }

    /// A descriptor that stands for the inode (O_PATH).
    /// - Throws: `stale` when the host has it no more, or elsewhere.
    func descriptor(of inode: Inode) throws(Errno) -> SharedDescriptor {
        var path: [(inode: Inode, name: FileName?)] = []
        var base: SharedDescriptor?
        monitor.withLock {
            var at = inode
            while !inode.tree.isRemoved {
                if let descriptor = inodes.cached(at) ?? at.openDescriptor {
                    base = descriptor
                    return
                }
                path.append((at, at.name))
                guard let parent = at.parent else { return }
                at = parent
            }
        }
        guard !inode.tree.isRemoved else { throw .stale }
        // From the nearest directory that is at hand, or from the tree's root, down to the inode.
        while let step = path.popLast() {
            base = try find(step.inode, step.name, in: base)
        }
        guard let base else { throw .stale }
        return base
    }

    private func find(_ inode: Inode, _ name: FileName?, in directory: SharedDescriptor?) throws(Errno)
        -> SharedDescriptor
    {
        guard let directory, let name else { return try findRoot(inode) }
        if let found = try? FileCalls.find(name, in: directory.descriptor), let found = verified(found, inode) {
            return found
        }
        let handle = monitor.withLock { inode.handle }
        if let handle, let mount = inode.tree.mount,
            let found = try? FileCalls.find(handle, onMountOf: mount.descriptor), let found = verified(found, inode)
        {
            return found
        }
        throw .stale
    }

    private func findRoot(_ inode: Inode) throws(Errno) -> SharedDescriptor {
        let shared = inode.tree.shared
        guard inode.tree.isFile else { return shared.root }
        if let place = shared.place, let found = try? FileCalls.find(place.name, in: place.directory.descriptor),
            let status = try? FileCalls.status(found), status.kind == inode.kind
        {
            return SharedDescriptor(found)
        }
        // Its name is gone, or something else has it now: then it stays the file that it was.
        return shared.root
    }

    /// Makes sure that what was found is the inode, and keeps it at hand.
    private func verified(_ found: consuming FileDescriptor, _ inode: Inode) -> SharedDescriptor? {
        guard let status = try? FileCalls.status(found), InodeKey(status, in: inode.tree) == inode.key,
            status.kind == inode.kind
        else { return nil }
        let descriptor = SharedDescriptor(found)
        lettingGo { inodes.keep(descriptor, of: inode) }
        return descriptor
    }

    /// What the inode is like now; without opening it where that can be spared.
    func status(of inode: Inode) throws(Errno) -> FileStatus {
        let (descriptor, parent, name) = monitor.withLock {
            (inodes.cached(inode) ?? inode.openDescriptor, inode.parent, inode.name)
        }
        if descriptor == nil, let parent, let name, !inode.tree.isRemoved,
            let directory = try? self.descriptor(of: parent),
            let status = try? FileCalls.status(of: name, in: directory.descriptor),
            InodeKey(status, in: inode.tree) == inode.key, status.kind == inode.kind
        {
            return status
        }
        if let descriptor { return try FileCalls.status(descriptor.descriptor) }
        return try FileCalls.status(self.descriptor(of: inode).descriptor)
    }

    /// Notes that the guest is told of what is at `name` in `parent` (nil: it is its tree's root).
    func enter(_ status: FileStatus, _ name: FileName, in parent: Inode?, _ tree: Tree) throws(Errno) -> Inode {
        guard let kind = status.kind else { throw .ioError }
        let key = parent == nil && tree.isFile ? InodeKey(singleFileOf: tree) : InodeKey(status, in: tree)
        return try lettingGo { () throws(Errno) in
            guard !tree.isRemoved else { throw .stale }
            let inode: Inode
            if let known = inodes[key], known.kind == kind {
                inode = known
            } else {
                inode = try inodes.add(key, kind, in: tree)
            }
            let (sum, overflow) = inode.lookups.addingReportingOverflow(1)
            if !overflow { inode.lookups = sum }
            // A directory can be found within itself only where the host binds it there; a loop of parents would never
            // be forgotten.
            if let parent, inode !== parent, inode.parent !== parent || inode.name != name,
                !isAncestor(inode, of: parent)
            {
                inodes.place(inode, in: parent, name)
            }
            return inode
        }
    }

    /// As far as it is known here. With the monitor held.
    func isAncestor(_ inode: Inode, of other: Inode) -> Bool {
        guard inode.kind == .directory, inode.children > 0 else { return false }
        var at: Inode? = other
        while let one = at {
            if one === inode { return true }
            at = one.parent
        }
        return false
    }

    /// Takes back what `enter` noted: the guest will not hear of it.
    func leave(_ inode: Inode) { lettingGo { inodes.forget(inode, lookups: 1) } }
}

extension FileSystem {
    /// Of the file that the guest has open under `handle`, if that is the inode; else one that stands for it.
    func descriptor(ofOpenOr inode: Inode, _ handle: UInt64?) throws(Errno) -> SharedDescriptor {
        if let handle, let file = monitor.withLock({ try? files.file(handle) }), file.inode === inode {
            return file.descriptor
        }
        return try descriptor(of: inode)
    }
}

extension FileSystem {
    /// The inode that the guest knows at a name which is about to be taken from it, with a descriptor: the guest may need
    /// it for longer than the name (as a working directory, by O_PATH), and nothing else would lead to it.
    struct Victim {
        let inode: Inode
        let descriptor: SharedDescriptor
        /// It has no other name.
        let isLast: Bool
    }

    func victim(_ name: FileName, in parent: Inode, _ directory: SharedDescriptor) -> Victim? {
        guard let status = try? FileCalls.status(of: name, in: directory.descriptor) else { return nil }
        let key = InodeKey(status, in: parent.tree)
        let (known, cached) = monitor.withLock { () -> (Inode?, SharedDescriptor?) in
            guard let inode = inodes[key], inode.kind == status.kind, inode.lookups > 0 else { return (nil, nil) }
            return (inode, inodes.cached(inode))
        }
        guard let known else { return nil }
        let isLast = known.kind == .directory || status.links <= 1
        if let cached { return Victim(inode: known, descriptor: cached, isLast: isLast) }
        guard let found = try? FileCalls.find(name, in: directory.descriptor),
            let status = try? FileCalls.status(found),
            InodeKey(status, in: parent.tree) == key
        else { return nil }
        return Victim(inode: known, descriptor: SharedDescriptor(found), isLast: isLast)
    }

    /// The name is gone: the descriptor is kept until the guest forgets the inode.
    func keep(_ victim: Victim?) {
        guard let victim else { return }
        lettingGo { inodes.hold(victim.descriptor, of: victim.inode, pinned: victim.isLast) }
    }

    /// Notes a file that has no name: its descriptor stands for it until the guest gives it one, or forgets it.
    func enterUnnamed(_ status: FileStatus, _ opened: SharedDescriptor, _ tree: Tree) throws(Errno) -> Inode {
        let key = InodeKey(status, in: tree)
        return try monitor.withLock { () throws(Errno) in
            guard !tree.isRemoved else { throw .stale }
            guard inodes.canPin else { throw .tooManyFiles }
            let inode = try inodes.add(key, .regular, in: tree)
            inode.lookups = 1
            inodes.pin(opened, of: inode)
            return inode
        }
    }
}

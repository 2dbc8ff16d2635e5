import FileCalls
import Glibc
import LinuxSys

/// All inodes that the guest knows, by nodeid and by what they are. Guarded by the file system's monitor.
struct InodeTable {
    /// FUSE_ROOT_ID.
    static let virtualRoot: UInt64 = 1

    private let limit: Int
    private var slots: [Inode?] = []
    /// The upper half of the nodeid of each slot: a nodeid is never used twice (before 2^32 times).
    private var generations: [UInt32] = []
    /// Of a slot that is new.
    private var firstGeneration: UInt32 = 0
    private var free: [UInt32] = []
    private var byKey: [InodeKey: Inode] = [:]
    private var cache: DescriptorCache
    /// Descriptors that nobody needs any more. They are closed without the monitor: the host frees a file that has no name
    /// when its last one is closed, and that takes long if it is a big one.
    private var released: [SharedDescriptor] = []
    private var pinned = 0
    private let pinLimit: Int

    init(_ limits: FileSystemLimits) {
        pinLimit = limits.openFiles
        limit = limits.inodes
        cache = DescriptorCache(capacity: limits.descriptors)
    }

    var count: Int { slots.count - free.count }
    var openDescriptors: Int { cache.count }
    var all: [Inode] { slots.compactMap { $0 } }

    subscript(id: UInt64) -> Inode? {
        guard id > Self.virtualRoot else { return nil }
        let index = Int(UInt32(truncatingIfNeeded: id)) - 2
        guard slots.indices.contains(index), let inode = slots[index], inode.id == id else { return nil }
        return inode
    }

    subscript(key: InodeKey) -> Inode? { byKey[key] }

    /// Makes an inode that was not there, or takes the place of one that is no more. It has no lookups yet.
    mutating func add(_ key: InodeKey, _ kind: FileKind, in tree: Tree) throws(Errno) -> Inode {
        guard count < limit else { throw .tooManyFiles }
        let index: Int
        if let reused = free.popLast() {
            index = Int(reused)
            generations[index] &+= 1
        } else {
            index = slots.count
            slots.append(nil)
            generations.append(firstGeneration)
        }
        let id = UInt64(generations[index]) << 32 | UInt64(index + 2)
        let inode = Inode(id: id, key: key, kind: kind, tree: tree)
        slots[index] = inode
        byKey[key] = inode
        return inode
    }

    /// Puts back an inode of a table that was saved, under the nodeid that the guest knows. `finishRestoring` follows.
    mutating func restore(_ id: UInt64, _ key: InodeKey, _ kind: FileKind, in tree: Tree) -> Inode? {
        let low = Int(UInt32(truncatingIfNeeded: id))
        guard low >= 2, low - 2 < limit, byKey[key] == nil else { return nil }
        while slots.count <= low - 2 {
            slots.append(nil)
            generations.append(0)
        }
        guard slots[low - 2] == nil else { return nil }
        let inode = Inode(id: id, key: key, kind: kind, tree: tree)
        slots[low - 2] = inode
        generations[low - 2] = UInt32(truncatingIfNeeded: id >> 32)
        byKey[key] = inode
        return inode
    }

    /// - Parameter generation: above that of every nodeid that was ever given out.
    mutating func finishRestoring(above generation: UInt32) {
        free = []
        firstGeneration = generation
        for index in slots.indices.reversed() where slots[index] == nil {
            generations[index] = generation
            free.append(UInt32(index))
        }
    }

    /// The highest of all generations.
    var highestGeneration: UInt32 { generations.max() ?? 0 }

    /// Says where the inode is now.
    mutating func place(_ inode: Inode, in parent: Inode, _ name: FileName) {
        inode.name = name
        guard inode.parent !== parent else { return }
        let old = inode.parent
        parent.children += 1
        inode.parent = parent
        if let old {
            old.children -= 1
            removeUnused(old)
        }
    }

    /// The guest forgets `lookups` of what it was told.
    mutating func forget(_ inode: Inode, lookups: UInt64) {
        inode.lookups -= min(lookups, inode.lookups)
        removeUnused(inode)
    }

    /// Removes the inode, and the directories above it, if nobody needs them any more.
    mutating func removeUnused(_ inode: Inode) {
        var next: Inode? = inode
        // A loop, not a recursion: a guest makes directories as deep as it likes.
        while let inode = next, inode.lookups == 0, inode.children == 0 {
            let index = Int(UInt32(truncatingIfNeeded: inode.id)) - 2
            guard slots.indices.contains(index), slots[index] === inode else { return }
            slots[index] = nil
            free.append(UInt32(index))
            if byKey[inode.key] === inode { byKey[inode.key] = nil }
            drop(inode)
            next = inode.parent
            inode.parent = nil
            next?.children -= 1
        }
    }

    mutating func removeAll() {
        // The chains of parents are undone first, or their ends would be released one inside the other.
        for inode in slots { inode?.parent = nil }
        for inode in slots { if let inode { drop(inode) } }
        byKey = [:]
        free = []
        // Nodeids of before stay dead.
        for index in slots.indices {
            slots[index] = nil
            free.append(UInt32(index))
        }
        free.reverse()
    }

    // MARK: Descriptors

    mutating func cached(_ inode: Inode) -> SharedDescriptor? {
        guard let descriptor = inode.descriptor else { return nil }
        inode.wasUsed = true
        return descriptor
    }

    /// Keeps a descriptor of the inode at hand.
    mutating func keep(_ descriptor: SharedDescriptor, of inode: Inode) {
        // It may have been forgotten meanwhile.
        guard inode.descriptor == nil, self[inode.id] === inode else { return }
        if let evicted = cache.insert(descriptor, of: inode) { released.append(evicted) }
    }

    /// A descriptor that is kept as long as the inode, since nothing else leads to it. Ask `canPin` before.
    mutating func pin(_ descriptor: SharedDescriptor, of inode: Inode) {
        inode.descriptor = descriptor
        inode.isPinned = true
        pinned += 1
    }

    var canPin: Bool { pinned < pinLimit }

    /// The same for what has lost its name. Those are fewer: with very many of them, some can get lost.
    mutating func hold(_ descriptor: SharedDescriptor, of inode: Inode, pinned isPinned: Bool) {
        guard self[inode.id] === inode, !inode.isPinned else { return }
        guard isPinned, pinned < pinLimit / 4 else { return keep(descriptor, of: inode) }
        if let cached = cache.remove(inode) { released.append(cached) }
        pin(descriptor, of: inode)
    }

    mutating func drop(_ inode: Inode) {
        if let cached = cache.remove(inode) { released.append(cached) }
        guard inode.isPinned else { return }
        if let descriptor = inode.descriptor { released.append(descriptor) }
        inode.isPinned = false
        inode.descriptor = nil
        pinned -= 1
    }

    /// To be closed by who has let go of the monitor.
    mutating func takeReleased() -> [SharedDescriptor] {
        if released.isEmpty { return [] }
        defer { released = [] }
        return released
    }
}

/// O_PATH descriptors that are kept for their inodes; which one goes is decided as a clock does.
struct DescriptorCache {
    private let capacity: Int
    private var members: [Inode] = []
    private var hand = 0

    init(capacity: Int) { self.capacity = max(capacity, 1) }

    var count: Int { members.count }

    /// - Returns: the one that had to go.
    mutating func insert(_ descriptor: SharedDescriptor, of inode: Inode) -> SharedDescriptor? {
        let evicted = members.count >= capacity ? evict() : nil
        inode.descriptor = descriptor
        inode.wasUsed = true
        inode.cacheSlot = members.count
        members.append(inode)
        return evicted
    }

    mutating func remove(_ inode: Inode) -> SharedDescriptor? {
        guard members.indices.contains(inode.cacheSlot), members[inode.cacheSlot] === inode else { return nil }
        let slot = inode.cacheSlot
        let last = members.removeLast()
        if last !== inode {
            members[slot] = last
            last.cacheSlot = slot
        }
        defer { inode.descriptor = nil }
        inode.cacheSlot = -1
        return inode.descriptor
    }

    private mutating func evict() -> SharedDescriptor? {
        // Every round takes marks away, so the second one finds somebody.
        for _ in 0..<2 * members.count {
            hand = hand + 1 < members.count ? hand + 1 : 0
            let inode = members[hand]
            if inode.wasUsed {
                inode.wasUsed = false
                continue
            }
            // With it the inode is found although the host renames it.
            if inode.handle == nil, inode.tree.mount != nil, inode.key.mount == inode.tree.mountID,
                let descriptor = inode.descriptor
            {
                inode.handle = FileCalls.handle(of: descriptor.descriptor)
            }
            return remove(inode)
        }
        return nil
    }
}

import FileCalls
import Glibc
import LinuxSys

/// What tells an inode from all others. The same file in two trees is two inodes: they may differ in what is allowed.
struct InodeKey: Hashable {
    var tree: UInt32
    var mount: UInt64
    var device: UInt64
    var inode: UInt64

    init(_ status: FileStatus, in tree: Tree) {
        self.tree = tree.number
        mount = status.mount
        device = status.device
        inode = status.inode
    }

    /// Of something that is no more.
    init(gone number: UInt64, in tree: Tree) {
        self.tree = tree.number
        mount = UInt64.max
        device = UInt64.max
        inode = number
    }

    /// Of a tree that is a single file, whichever that is at the time.
    init(singleFileOf tree: Tree) {
        self.tree = tree.number
        mount = 0
        device = 0
        inode = 0
    }
}

/// An inode that the guest knows. All that changes is guarded by the file system's monitor.
///
/// It needs no descriptor: it is found again by its directory and its name there, or by its handle, and whatever is
/// found is compared with the key before it is used.
final class Inode: @unchecked Sendable {
    /// The guest's nodeid.
    let id: UInt64
    let key: InodeKey
    let kind: FileKind
    let tree: Tree

    /// How often the guest was told of it, less what it has forgotten.
    var lookups: UInt64 = 0
    /// Inodes whose parent it is.
    var children = 0
    /// nil for a tree's root.
    var parent: Inode?
    var name: FileName?
    var handle: FileHandle?

    /// O_PATH; one of the cache's.
    var descriptor: SharedDescriptor?
    var cacheSlot = -1
    var wasUsed = false
    /// What the guest has open of it, by the numbers it was given.
    var opened: [UInt64: SharedDescriptor] = [:]
    /// A process of the guest watches it.
    var isWatched = false
    /// The host has removed it, and whoever watches it has been told.
    var isToldGone = false
    /// It is found by nothing but its descriptor.
    var isPinned = false

    /// The directory's time when the guest last opened it, and how often it had opened it with that time before.
    private var listing: (modified: FileTime, times: Int)?

    /// What the contents looked like when the guest last opened the file.
    var contents: ContentStamp?

    init(id: UInt64, key: InodeKey, kind: FileKind, tree: Tree) {
        self.id = id
        self.key = key
        self.kind = kind
        self.tree = tree
    }

    /// A descriptor that the guest has open: it leads to the inode although it has no name any more. Not of a tree that is
    /// a single file, whose inode stands for whatever has the name now.
    var openDescriptor: SharedDescriptor? { parent == nil ? nil : opened.first?.value }

    /// The guest opens the directory.
    /// - Returns: how often it has done that before since the last change.
    func noteListing(_ modified: FileTime) -> Int {
        let times = listing.map { $0.modified == modified ? $0.times + 1 : 0 } ?? 0
        listing = (modified, times)
        return times
    }
}

/// By which it is known whether a file's contents have changed.
struct ContentStamp: Equatable {
    var inode: UInt64
    var size: UInt64
    var modified: FileTime
    var changed: FileTime

    /// A host's program that writes through a shared mapping moves the file's times only when the page was clean; by
    /// then all dirty pages have been written back.
    private static let settledSeconds: Int64 = 60

    init(_ status: FileStatus) {
        inode = status.inode
        size = status.size
        modified = status.modified
        changed = status.changed
    }

    /// The last change is long past: any further one gets another time.
    func isSettled(at now: Int64) -> Bool {
        let last = max(modified.seconds, changed.seconds)
        let (age, overflow) = now.subtractingReportingOverflow(last)
        return !overflow && age > Self.settledSeconds
    }
}

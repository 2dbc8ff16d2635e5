import FileCalls
import Glibc
import LinuxSys

/// A tree, or one file, of the host that the guest gets under a name in the virtual root.
public struct SharedTree: Sendable {
    public var name: FileName
    /// An O_PATH descriptor of the directory, or of the file.
    public var root: SharedDescriptor
    /// Of a single file: its directory and its name there, so that a file that replaces it is seen too.
    public var place: (directory: SharedDescriptor, name: FileName)?
    public var readOnly: Bool
    public var cache: CachePolicy

    public init(
        name: FileName, root: SharedDescriptor, place: (directory: SharedDescriptor, name: FileName)? = nil,
        readOnly: Bool = false, cache: CachePolicy = .auto
    ) {
        self.name = name
        self.root = root
        self.place = place
        self.readOnly = readOnly
        self.cache = cache
    }
}

/// A tree that is shared. What changes is guarded by the file system's monitor.
final class Tree: @unchecked Sendable {
    /// Never used twice.
    let number: UInt32
    let shared: SharedTree
    /// A descriptor of the tree's mount that is not O_PATH, for handles; nil where there are none.
    let mount: SharedDescriptor?
    let mountID: UInt64
    /// A single file. Its one inode stands for whatever file is at its place at the time.
    let isFile: Bool
    var isRemoved = false

    /// The number that the guest gets for an inode of the host. All trees are one file system to the guest, so those of
    /// the second tree and later ones, which can be of other file systems of the host, get numbers of their own.
    func guestInode(_ inode: UInt64) -> UInt64 { inode ^ (UInt64(number - 1) & 0x7FFF) << 48 }

    var readOnly: Bool { shared.readOnly }
    var cache: CachePolicy { shared.cache }

    init(_ number: UInt32, _ shared: SharedTree) throws(Errno) {
        self.number = number
        self.shared = shared
        let status = try FileCalls.status(shared.root.descriptor)
        mountID = status.mount
        isFile = status.kind != .directory
        if status.kind == .directory, let handle = FileCalls.handle(of: shared.root.descriptor),
            let mount = try? FileCalls.reopen(shared.root.descriptor, flags: O_RDONLY | O_DIRECTORY),
            // Some give handles that they don't take back, and some kernels take none of a process like this.
            (try? FileCalls.find(handle, onMountOf: mount)) != nil
        {
            self.mount = SharedDescriptor(mount)
        } else {
            mount = nil
        }
    }
}

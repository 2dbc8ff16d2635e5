import FileCalls
import Glibc
import LinuxSys
import Spawn
import VMDriver
import VMMWire

/// How a machine gets its files: the socket that QEMU is given, and what the device has to be told of the trees.
struct FileShare: ~Copyable {
    /// The numbers of the inherited descriptors in kvm-vmm.
    private enum Inherited {
        static let vhostUser: CInt = 5
        static let trees: CInt = 6
    }

    struct Tree {
        var message: TreeMessage
        var descriptors: [SharedDescriptor]
    }

    /// QEMU's end of the vhost-user connection.
    let connection: FileDescriptor
    private let trees: [Tree]
    private let messages: SharedDescriptor?
    /// The device's ends, until it has been started.
    private let inherited: [SharedDescriptor]

    /// Of a back end that knows the trees.
    init(connection: consuming FileDescriptor) {
        self.connection = connection
        trees = []
        messages = nil
        inherited = []
    }

    /// Gives `vmm` a file system device.
    /// - Throws: names the tree that can't be had.
    static func adding(to vmm: inout Program, _ plan: VMPlan) throws -> FileShare {
        var trees: [Tree] = []
        for tree in plan.trees {
            do throws(Errno) { trees.append(try Self.open(tree)) } catch {
                throw VMError("can't share \(tree.words) with the guest: \(error)")
            }
        }
        let socket = try Sockets.pair()
        let messages = try Sockets.pair(.packets)
        let inherited = [
            SharedDescriptor(try socket.first.duplicate()), SharedDescriptor(try messages.first.duplicate()),
        ]
        vmm.arguments += [
            "fs", "--vhost-user-fd", "\(Inherited.vhostUser)", "--trees-fd", "\(Inherited.trees)", "--tag",
            plan.shareTag, "--guest-memory-mib", "\(plan.memoryMiB)", "--trees", "\(trees.count)",
            "--locks", plan.sharesFileLocks ? "host" : "guest",
        ]
        if plan.gathersFileWrites { vmm.arguments.append("--gather-writes") }
        vmm.descriptors[Inherited.vhostUser] = inherited[0].raw
        vmm.descriptors[Inherited.trees] = inherited[1].raw
        return FileShare(
            connection: try socket.second.duplicate(), trees: trees,
            messages: SharedDescriptor(try messages.second.duplicate()),
            inherited: inherited)
    }

    private init(
        connection: consuming FileDescriptor, trees: [Tree], messages: SharedDescriptor,
        inherited: [SharedDescriptor]
    ) {
        self.connection = connection
        self.trees = trees
        self.messages = messages
        self.inherited = inherited
    }

    /// What the device has to be told of a tree.
    static func open(_ tree: VMPlan.SharedTree) throws(Errno) -> Tree {
        var description = SharedTreeDescription(
            name: tree.name, readOnly: tree.readOnly, cache: cache(tree.cache))
        if let identity = tree.identity {
            return Tree(message: .add(description), descriptors: [SharedDescriptor(try find(tree.source, identity))])
        }
        guard tree.overlay.isEmpty, !File.isDirectory(tree.source) else {
            let root = SharedDescriptor(try directory(tree))
            return Tree(message: .add(description), descriptors: [root])
        }
        let path = try File.realPath(tree.source)
        if let map = tree.idMap {
            // A mount of its own, and so not what may replace the file.
            return Tree(message: .add(description), descriptors: [SharedDescriptor(try mapped(tree, map))])
        }
        let root = SharedDescriptor(try FileDescriptor.reference(path))
        // What replaces the file is seen too, so its place counts.
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let parent = SharedDescriptor(
            try FileDescriptor.directory(slash == path.startIndex ? "/" : String(path[..<slash])))
        description.nameInDirectory = String(path[path.index(after: slash)...])
        return Tree(message: .add(description), descriptors: [root, parent])
    }

    /// - Throws: ESTALE when another has its place.
    private static func find(_ path: String, _ identity: FileIdentity) throws(Errno) -> FileDescriptor {
        let reference = try FileDescriptor.reference(path)
        var status = stat()
        _ = try once { fstat(reference.raw, &status) }
        guard FileIdentity(status) == identity else { throw Errno(rawValue: ESTALE) }
        // A directory is opened, as those of other trees are.
        guard status.st_mode & mode_t(S_IFMT) == mode_t(S_IFDIR) else { return reference }
        return try reference.open(at: ".", O_RDONLY | O_DIRECTORY)
    }

    private static func cache(_ cache: VMPlan.FileCache) -> SharedTreeDescription.Cache {
        switch cache {
        case .auto: .auto
        case .always: .always
        case .never: .never
        }
    }

    /// A mount of the tree that nobody else has, where the kernel makes one; else the directory as it is. What the tree
    /// may do is checked by the device in any case.
    private static func directory(_ tree: VMPlan.SharedTree) throws(Errno) -> FileDescriptor {
        if let map = tree.idMap { return try mapped(tree, map) }
        if !tree.overlay.isEmpty { return try DetachedTree.overlay(tree.overlay) }
        if let detached = try? DetachedTree.open(tree.source, recursive: tree.recursive, readOnly: tree.readOnly) {
            return detached
        }
        return try FileDescriptor.directory(tree.source)
    }

    /// A mount whose files' ids are seen as the map says; there is no doing without it.
    private static func mapped(
        _ tree: VMPlan.SharedTree, _ map: VMPlan.IDMap
    ) throws(Errno) -> FileDescriptor {
        let mount =
            tree.overlay.isEmpty
            ? try DetachedTree.open(tree.source, recursive: tree.recursive, readOnly: tree.readOnly)
            : try DetachedTree.overlay(tree.overlay)
        try DetachedTree.mapIDs(of: mount, uids: map.uids, gids: map.gids, recursive: map.recursive)
        return mount
    }

    /// Why the device has refused a tree.
    static func words(_ error: Errno) -> String {
        error.rawValue != EMEDIUMTYPE
            ? "\(error)"
            : "the guest gathers writes, since its files.rootfs_cache and files.volume_cache were \"always\"; so must this tree's"
    }

    /// Tells the device of the trees, which it waits for. If it takes one amiss it ends and says why.
    /// - Returns: the socket for what is to be said later.
    consuming func send() throws(Errno) -> SharedDescriptor? {
        guard let messages else { return nil }
        for tree in trees {
            try Sockets.send(tree.message.bytes, descriptors: tree.descriptors.map(\.raw), over: messages.descriptor)
        }
        return messages
    }
}

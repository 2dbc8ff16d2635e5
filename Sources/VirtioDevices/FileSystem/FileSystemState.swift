import FileCalls
import Glibc
import LinuxSys

/// What a file system device needs of another that it takes the place of: what the guest knows of files, by their names.
/// Files without a name and locks are not in it: they end with the process that has them open.
public struct FileSystemState: Equatable, Sendable {
    public struct SavedInode: Equatable, Sendable {
        public var node: UInt64
        /// The tree's name; the numbers of the file there, by which it is known again.
        public var tree: [UInt8]
        public var device: UInt64
        public var inode: UInt64
        /// S_IFMT of its mode.
        public var kind: UInt32
        public var lookups: UInt64
        /// 0 for a tree's root.
        public var parent: UInt64
        public var name: [UInt8]
    }

    public struct SavedFile: Equatable, Sendable {
        public var handle: UInt64
        /// 0 for the virtual root.
        public var node: UInt64
        public var isDirectory: Bool
        /// Of open(2).
        public var flags: Int32
    }

    /// The flags of INIT that both sides agreed on.
    public var negotiated: UInt64
    /// A parent is before its children.
    public var inodes: [SavedInode]
    public var files: [SavedFile]
    /// No nodeid was given out with a higher upper half.
    public var generation: UInt32
}

extension FileSystem {
    func save() -> FileSystemState {
        monitor.withLock {
            FileSystemState(
                negotiated: negotiated.rawValue, inodes: savedInodes(), files: savedFiles(),
                generation: inodes.highestGeneration)
        }
    }

    private func savedInodes() -> [FileSystemState.SavedInode] {
        let all = inodes.all.filter { !$0.tree.isRemoved }
        var children: [ObjectIdentifier: [Inode]] = [:]
        for inode in all {
            if let parent = inode.parent { children[ObjectIdentifier(parent), default: []].append(inode) }
        }
        var ordered = all.filter { $0.parent == nil && $0.cacheSlot >= -1 && !$0.isPinned }
        var at = 0
        while at < ordered.count {
            ordered += children[ObjectIdentifier(ordered[at])] ?? []
            at += 1
        }
        return ordered.map {
            FileSystemState.SavedInode(
                node: $0.id, tree: Array($0.tree.shared.name.bytes), device: $0.key.device, inode: $0.key.inode,
                kind: $0.kind.rawValue, lookups: $0.lookups, parent: $0.parent?.id ?? 0,
                name: $0.name.map { Array($0.bytes) } ?? [])
        }
    }

    private func savedFiles() -> [FileSystemState.SavedFile] {
        files.all.map { handle, member in
            switch member {
            case .file(let file):
                FileSystemState.SavedFile(handle: handle, node: file.inode.id, isDirectory: false, flags: file.flags)
            case .directory(let directory):
                FileSystemState.SavedFile(
                    handle: handle, node: directory.inode?.id ?? 0, isDirectory: true, flags: O_RDONLY)
            }
        }.sorted { $0.handle < $1.handle }
    }

    func restore(_ state: FileSystemState) {
        forgetAll()
        monitor.withLock { negotiated = InitFlags(rawValue: state.negotiated) }
        for saved in state.inodes { restore(saved) }
        let (next, overflow) = state.generation.addingReportingOverflow(1)
        monitor.withLock { inodes.finishRestoring(above: overflow ? 0 : next) }
        for saved in state.files { restore(saved) }
    }

    private func restore(_ saved: FileSystemState.SavedInode) {
        guard let tree = monitor.withLock({ trees.first { $0.shared.name.bytes.elementsEqual(saved.tree) } }),
            let kind = FileKind(rawValue: saved.kind)
        else { return }
        if saved.parent == 0 {
            guard let status = try? FileCalls.status(tree.shared.root.descriptor) else { return }
            let key = tree.isFile ? InodeKey(singleFileOf: tree) : InodeKey(status, in: tree)
            monitor.withLock { inodes.restore(saved.node, key, kind, in: tree)?.lookups = saved.lookups }
            return
        }
        guard let name = FileName(saved.name[...]), let parent = try? inode(saved.parent),
            let directory = try? descriptor(of: parent),
            let status = try? FileCalls.status(of: name, in: directory.descriptor), status.kind == kind,
            // Another file under its name is not what the guest knows.
            status.device == saved.device, status.inode == saved.inode
        else { return }
        monitor.withLock {
            guard let inode = inodes.restore(saved.node, InodeKey(status, in: tree), kind, in: tree) else { return }
            inode.lookups = saved.lookups
            inodes.place(inode, in: parent, name)
        }
    }

    private func restore(_ saved: FileSystemState.SavedFile) {
        if saved.isDirectory, saved.node == 0 {
            return monitor.withLock { files.restore(.directory(OpenDirectory(nil, nil)), as: saved.handle) }
        }
        let flags = saved.isDirectory ? O_RDONLY | O_DIRECTORY : saved.flags & ~(O_CREAT | O_EXCL | O_TRUNC)
        guard let inode = try? inode(saved.node), inode.kind == (saved.isDirectory ? .directory : .regular),
            !inode.tree.readOnly || flags & O_ACCMODE == O_RDONLY, let found = try? descriptor(of: inode),
            let opened = try? FileCalls.reopen(found.descriptor, flags: flags)
        else { return }
        let descriptor = SharedDescriptor(opened)
        monitor.withLock {
            files.restore(
                saved.isDirectory
                    ? .directory(OpenDirectory(inode, descriptor)) : .file(OpenFile(inode, descriptor, flags: flags)),
                as: saved.handle)
        }
    }
}

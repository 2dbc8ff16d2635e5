import FileCalls
import GuestMemory
import LinuxSys

/// Requests about names in directories.
extension Worker {
    private static let dot: [UInt8] = [0x2E]
    private static let dotDot: [UInt8] = [0x2E, 0x2E]
    private static let renameFlags = RenameFlags.noReplace | RenameFlags.exchange | RenameFlags.whiteout

    private enum RenameFlags {
        static let noReplace: UInt32 = 1
        static let exchange: UInt32 = 2
        /// Leaves a device node 0:0, of which overlay file systems know what it means, and which opens nothing.
        static let whiteout: UInt32 = 4
    }

    private func name(_ body: inout ByteReader) throws(Errno) -> FileName {
        let bytes = try body.text()
        if bytes.count > FileName.mostBytes { throw .tooLong }
        guard let name = FileName(bytes) else { throw .invalidArgument }
        return name
    }

    // MARK: Finding

    func lookup(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let bytes = try body.text()
        if header.node == InodeTable.virtualRoot { return try lookupTree(bytes) }
        let directory = try fs.inode(header.node)
        if bytes.elementsEqual(Self.dot) { return try again(directory) }
        if bytes.elementsEqual(Self.dotDot) { return try again(fs.monitor.withLock { directory.parent } ?? directory) }
        if bytes.count > FileName.mostBytes { throw .tooLong }
        guard let name = FileName(bytes) else { throw .noSuchFile }
        guard directory.kind == .directory else { throw .notDirectory }
        if let answer = try emulatedLookup(header, directory, name) { return answer }
        let descriptor = try fs.descriptor(of: directory)
        return try enterNew(name, in: directory, descriptor)
    }

    /// "." and "..", by which an NFS server in the guest finds inodes again.
    private func again(_ inode: Inode) throws(Errno) -> Answer {
        let status = try fs.status(of: inode)
        let parent = fs.monitor.withLock { () -> Inode? in
            inode.lookups &+= 1
            return inode.parent
        }
        append(entry: inode, status, in: parent)
        return .reply
    }

    private func lookupTree(_ bytes: ArraySlice<UInt8>) throws(Errno) -> Answer {
        if bytes.elementsEqual(Self.dot) || bytes.elementsEqual(Self.dotDot) {
            appendVirtualRootEntry()
            return .reply
        }
        guard let name = FileName(bytes),
            let tree = fs.monitor.withLock({ fs.trees.first { $0.shared.name == name } })
        else { throw .noSuchFile }
        let (inode, status) = try enterRoot(of: tree)
        append(entry: inode, status, in: nil)
        return .reply
    }

    private func appendVirtualRootEntry() {
        reply.append(InodeTable.virtualRoot)
        reply.append(UInt64(0))
        for _ in 0..<2 { reply.append(CachePolicy.always.entrySeconds) }
        reply.append(UInt64(0))
        appendVirtualRoot()
    }

    private func enterRoot(of tree: Tree) throws(Errno) -> (Inode, FileStatus) {
        let inode = try fs.enter(FileCalls.status(tree.shared.root.descriptor), tree.shared.name, in: nil, tree)
        do throws(Errno) { return (inode, try fs.status(of: inode)) } catch {
            fs.leave(inode)
            throw error
        }
    }

    func forget(_ header: RequestHeader, _ body: inout ByteReader) -> Answer {
        guard let lookups = try? body.number(UInt64.self) else { return .none }
        fs.lettingGo { if let inode = fs.inodes[header.node] { fs.inodes.forget(inode, lookups: lookups) } }
        return .none
    }

    func batchForget(_ body: inout ByteReader) -> Answer {
        guard let count = try? body.number(UInt32.self), (try? body.skip(4)) != nil else { return .none }
        // As many as there are, whatever their number was said to be.
        for _ in 0..<count {
            guard let node = try? body.number(UInt64.self), let lookups = try? body.number(UInt64.self) else { break }
            fs.lettingGo { if let inode = fs.inodes[node] { fs.inodes.forget(inode, lookups: lookups) } }
        }
        return .none
    }

    // MARK: Making

    func symlink(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let name = try name(&body)
        let target = Array(try body.text())
        return try make(name, header, umask: 0) { directory throws(Errno) in
            try FileCalls.makeSymlink(name, in: directory.descriptor, target: target)
        }
    }

    func makeNode(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let mode: UInt32 = try body.number()
        let device: UInt32 = try body.number()
        let umask: UInt32 = try body.number()
        try body.skip(4)
        let name = try name(&body)
        return try make(name, header, umask: umask) { directory throws(Errno) in
            try FileCalls.makeNode(name, in: directory.descriptor, mode: mode, device: UInt64(device))
        }
    }

    func makeDirectory(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let mode: UInt32 = try body.number()
        let umask: UInt32 = try body.number()
        let name = try name(&body)
        return try make(name, header, umask: umask) { directory throws(Errno) in
            try FileCalls.makeDirectory(name, in: directory.descriptor, mode: mode)
        }
    }

    /// Makes what `body` makes, for the one who asks; for the agent, what the host has made, nothing.
    private func make(
        _ name: FileName, _ header: RequestHeader, umask: UInt32, _ body: (SharedDescriptor) throws(Errno) -> Void
    ) throws(Errno) -> Answer {
        let parent = try fs.directory(header.node, writable: !isAgentsCreation(header))
        let directory = try fs.descriptor(of: parent)
        if !isEmulated(header, .created, parent, name) {
            try refuseAgent(header)
            if parent.tree.readOnly { throw .readOnlyFileSystem }
            credentials.create(uid: header.uid, gid: header.gid, umask: umask)
            try changing(parent, name) { () throws(Errno) in try body(directory) }
        }
        return try enterNew(name, in: parent, directory)
    }

    func link(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let old: UInt64 = try body.number()
        let name = try name(&body)
        try refuseAgent(header)
        let parent = try fs.writableDirectory(header.node)
        let inode = try fs.inode(old)
        guard inode.tree === parent.tree else { throw .crossDevice }
        let descriptor = try fs.descriptor(of: inode)
        let directory = try fs.descriptor(of: parent)
        try changing(inode: inode, to: parent, name) { () throws(Errno) in
            try FileCalls.link(descriptor.descriptor, to: name, in: directory.descriptor)
        }
        return try enterNew(name, in: parent, directory)
    }

    // MARK: Removing and renaming

    func remove(_ header: RequestHeader, _ body: inout ByteReader, isDirectory: Bool) throws(Errno) -> Answer {
        let name = try name(&body)
        let parent = try fs.directory(header.node, writable: emulation(header) == nil)
        if isEmulated(header, .deleted, parent, name) { return .reply }
        try refuseAgent(header)
        if parent.tree.readOnly { throw .readOnlyFileSystem }
        let directory = try fs.descriptor(of: parent)
        let victim = fs.victim(name, in: parent, directory)
        try changing(inode: victim?.inode, parent, name) { () throws(Errno) in
            try FileCalls.remove(name, in: directory.descriptor, isDirectory: isDirectory)
        }
        fs.keep(victim)
        return .reply
    }

    func rename(_ header: RequestHeader, _ body: inout ByteReader, hasFlags: Bool) throws(Errno) -> Answer {
        let newNode: UInt64 = try body.number()
        var flags: UInt32 = 0
        if hasFlags {
            flags = try body.number()
            try body.skip(4)
        }
        if flags & ~Self.renameFlags != 0 { throw .invalidArgument }
        let oldName = try name(&body)
        let newName = try name(&body)
        let isAgents = emulation(header) != nil
        let oldParent = try fs.directory(header.node, writable: !isAgents)
        let newParent = try fs.directory(newNode, writable: !isAgents)
        guard oldParent.tree === newParent.tree else { throw .crossDevice }
        let from = try fs.descriptor(of: oldParent)
        let to = try fs.descriptor(of: newParent)
        if !isEmulated(header, .moved, oldParent, oldName) {
            try refuseAgent(header)
            if oldParent.tree.readOnly { throw .readOnlyFileSystem }
            let replaces = flags & (RenameFlags.noReplace | RenameFlags.exchange) == 0
            let victim = replaces ? fs.victim(newName, in: newParent, to) : nil
            try changing(inode: victim?.inode, oldParent, oldName, to: newParent, newName) { () throws(Errno) in
                try FileCalls.rename(oldName, in: from.descriptor, to: newName, in: to.descriptor, flags: flags)
            }
            fs.keep(victim)
        }
        moved(newName, in: newParent, to)
        if flags & RenameFlags.exchange != 0 { moved(oldName, in: oldParent, from) }
        return .reply
    }

    /// What is at the name now is known to be there.
    private func moved(_ name: FileName, in parent: Inode, _ directory: SharedDescriptor) {
        guard let status = try? FileCalls.status(of: name, in: directory.descriptor) else { return }
        fs.lettingGo {
            // The host may have moved `parent` out of the directory before, and nobody was told: no loop of parents.
            if let inode = fs.inodes[InodeKey(status, in: parent.tree)], inode !== parent,
                !fs.isAncestor(inode, of: parent)
            {
                fs.inodes.place(inode, in: parent, name)
            }
        }
    }

    func readLink(_ header: RequestHeader) throws(Errno) -> Answer {
        let inode = try fs.inode(header.node)
        guard inode.kind == .symlink else { throw .invalidArgument }
        reply.append(try FileCalls.linkTarget(fs.descriptor(of: inode).descriptor))
        return .reply
    }
}

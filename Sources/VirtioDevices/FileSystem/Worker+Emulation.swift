import FileCalls
import GuestMemory
import LinuxSys
import VMMWire

/// Requests of the guest's agent while it makes a change of the host's once more.
extension Worker {
    /// The agent is the first process of the guest. Another that says so fools nobody but its own guest.
    private static let agent: UInt32 = 1

    /// What the agent is doing, if this is a request of its.
    func emulation(_ header: RequestHeader) -> Emulation? {
        guard header.pid == Self.agent else { return nil }
        return fs.monitor.withLock { fs.emulation }
    }

    /// LOOKUP as it would have been answered before the change; nil: as always.
    func emulatedLookup(_ header: RequestHeader, _ directory: Inode, _ name: FileName) throws(Errno) -> Answer? {
        guard let emulation = emulation(header) else { return nil }
        switch emulation.change.kind {
        case .created:
            if emulation.place.isAt(directory, name) { throw .noSuchFile }
        case .deleted:
            if emulation.place.isAt(directory, name) { return try enterDeleted(emulation, name) }
        case .moved:
            guard let new = emulation.newPlace, let newName = new.name else { return nil }
            if emulation.place.isAt(directory, name) {
                return try enterNew(newName, in: new.directory, fs.descriptor(of: new.directory))
            }
            if new.isAt(directory, name) {
                guard let replaced = replacedFile(new, newName) else { throw .noSuchFile }
                append(gone: replaced)
                return .reply
            }
        case .modified, .attributes: break
        }
        return nil
    }

    /// The watched file that another has taken the place of: the guest is to see it go.
    private func replacedFile(_ place: Emulation.Place, _ name: FileName) -> Inode? {
        guard let directory = try? fs.descriptor(of: place.directory),
            let status = try? FileCalls.status(of: name, in: directory.descriptor), status.kind != .directory
        else { return nil }
        let now = InodeKey(status, in: place.directory.tree)
        return fs.monitor.withLock {
            let replaced = fs.inodes.all.first {
                $0.isWatched && $0.parent === place.directory && $0.name == name && $0.key != now
                    && $0.kind != .directory
            }
            replaced?.lookups &+= 1
            return replaced
        }
    }

    /// What was there: the inode that the guest knows by that name, or one that stands for it.
    private func enterDeleted(_ emulation: Emulation, _ name: FileName) throws(Errno) -> Answer {
        let directory = emulation.place.directory
        let kind = FileKind(rawValue: emulation.change.fileKind) ?? .regular
        let inode = try fs.monitor.withLock { () throws(Errno) -> Inode in
            let known = fs.inodes.all.first { $0.parent === directory && $0.name == name && $0.kind == kind }
            if let known = emulation.file ?? known {
                known.lookups &+= 1
                return known
            }
            let new = try fs.inodes.add(fs.nextGoneKey(in: directory.tree), kind, in: directory.tree)
            new.lookups = 1
            fs.inodes.place(new, in: directory, name)
            return new
        }
        append(gone: inode)
        return .reply
    }

    /// Whether the request is the agent's doing of what the host has done: then there is nothing to do.
    func isEmulated(
        _ header: RequestHeader, _ kind: FileChange.Kind, _ directory: Inode, _ name: FileName
    ) -> Bool {
        guard let emulation = emulation(header), emulation.change.kind == kind else { return false }
        return emulation.place.isAt(directory, name)
    }

    /// The same for a request that names the inode.
    func isEmulated(_ header: RequestHeader, _ kind: FileChange.Kind, _ inode: Inode) -> Bool {
        guard let emulation = emulation(header), emulation.change.kind == kind else { return false }
        guard let name = emulation.place.name else { return emulation.place.directory === inode }
        return fs.monitor.withLock { inode.parent === emulation.place.directory && inode.name == name }
    }

    /// The agent is making once more what the host has made: nothing is changed, so that the tree may be read-only.
    func isAgentsCreation(_ header: RequestHeader) -> Bool { emulation(header)?.change.kind == .created }

    /// The agent itself has no business with the container's files: what it does to them is meant to be one of the
    /// host's changes. When it comes too late for that, it must not become a change of its own.
    func refuseAgent(_ header: RequestHeader) throws(Errno) {
        if header.pid == Self.agent { throw .busy }
    }

    // MARK: Own changes

    /// Does something to a file, of which those who watch it in the guest are told by its own kernel.
    func changing<Result: ~Copyable>(
        inode: Inode? = nil, _ parent: Inode? = nil, _ name: FileName? = nil, to newParent: Inode? = nil,
        _ newName: FileName? = nil, _ body: () throws(Errno) -> Result
    ) throws(Errno) -> Result {
        guard let watch = fs.watchAtWork() else { return try body() }
        let (inodesParent, inodesName) = fs.monitor.withLock { (inode?.parent, inode?.name) }
        let own = watch.begin(
            HostWatch.OwnChange(
                inode: inode, parent: parent ?? inodesParent, name: name ?? inodesName, newParent: newParent,
                newName: newName))
        defer { watch.end(own) }
        return try body()
    }
}

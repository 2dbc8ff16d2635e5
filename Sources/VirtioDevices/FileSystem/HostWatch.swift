import FileCalls
import LinuxSys
import VMMWire

/// Watches the host's files that processes of the guest watch, and tells of the changes that the host made: the guest's
/// kernel knows of its own changes only. docs/file-system.md has the whole way.
final class HostWatch: @unchecked Sendable {
    /// What the device itself is doing to a file: the guest's kernel knows of it.
    struct OwnChange {
        var inode: Inode?
        var parent: Inode?
        var name: FileName?
        var newParent: Inode?
        var newName: FileName?

        func covers(_ watched: Inode, _ name: [UInt8]) -> Bool {
            if watched === inode { return true }
            if watched === parent, self.name.map({ $0.bytes.elementsEqual(name) }) ?? true { return true }
            return watched === newParent && newName.map { $0.bytes.elementsEqual(name) } ?? true
        }
    }

    private static let inDirectories: Inotify.Events = [
        .modified, .attributes, .closedAfterWriting, .movedFrom, .movedTo, .created, .deleted,
    ]
    private static let ofFiles: Inotify.Events = [.modified, .attributes, .closedAfterWriting, .selfDeleted]
    /// Changes that came within that time are told together, each once.
    private static let gatherMicroseconds: UInt32 = 10_000
    private static let beginMicroseconds: UInt32 = 20_000
    /// How long the agent may take for one.
    private static let answerMilliseconds = 1000
    /// What waits to be told; more are lost.
    private static let mostPending = 4096

    private let fs: FileSystem
    private let inotify: Inotify
    private let wake: EventDescriptor
    private let report: @Sendable (FileChange) -> Void
    private let monitor = Monitor()

    // Guarded by the monitor.
    private var watches: [Int32: Inode] = [:]
    private var ownChanges: [UInt64: OwnChange] = [:]
    private var nextOwn: UInt64 = 0
    private var pending: [HostEvent] = []
    private var answered = true

    /// An event of the host's, at the inode whose watch it is.
    struct HostEvent {
        var inode: Inode
        var event: Inotify.Event
        /// What the device was doing something to: the event can be of one of them, under another of its names.
        var suspects: [Inode]
    }

    init(_ fs: FileSystem, report: @escaping @Sendable (FileChange) -> Void) throws(Errno) {
        self.fs = fs
        self.report = report
        inotify = try Inotify()
        wake = try EventDescriptor()
        try Thread.detach { [self] in follow() }
    }

    // MARK: What is watched

    /// Watches these inodes of the tree, and no others.
    func watch(_ numbers: Set<UInt64>, in tree: Tree) {
        let wanted = fs.monitor.withLock {
            fs.inodes.all.filter {
                $0.tree === tree && !$0.isToldGone && numbers.contains($0.tree.guestInode($0.key.inode))
            }
        }
        let old = monitor.withLock { watches.filter { $0.value.tree === tree } }
        for (watch, inode) in old where !wanted.contains(where: { $0 === inode }) {
            inotify.remove(watch)
            monitor.withLock { watches[watch] = nil }
            fs.monitor.withLock { inode.isWatched = false }
        }
        begin(with: wanted)
        for inode in wanted where !old.values.contains(where: { $0 === inode }) {
            guard let descriptor = try? fs.descriptor(of: inode),
                let watch = try? inotify.add(
                    descriptor.descriptor, inode.kind == .directory ? Self.inDirectories : Self.ofFiles)
            else { continue }
            monitor.withLock { watches[watch] = inode }
            fs.monitor.withLock { inode.isWatched = true }
        }
        fs.monitor.withLock { fs.isWatching = monitor.withLock { !watches.isEmpty } }
    }

    /// Before the first watch is made: requests note what they do from now on, and those that began before have a moment to
    /// end. An event of theirs would be taken for the host's.
    private func begin(with wanted: [Inode]) {
        guard !wanted.isEmpty else { return }
        let wasWatching = fs.monitor.withLock { () -> Bool in
            defer { fs.isWatching = true }
            return fs.isWatching
        }
        if !wasWatching { Thread.sleep(microseconds: Self.beginMicroseconds) }
    }

    // MARK: What the device does itself

    func begin(_ change: OwnChange) -> UInt64 {
        monitor.withLock {
            nextOwn &+= 1
            ownChanges[nextOwn] = change
            return nextOwn
        }
    }

    /// The events of an own change are in the queue when its system call returns: they are taken out here.
    func end(_ own: UInt64) {
        monitor.lock()
        take()
        ownChanges[own] = nil
        let isPending = !pending.isEmpty
        monitor.unlock()
        if isPending { try? wake.signal() }
    }

    /// With the monitor held.
    private func take() {
        for event in (try? inotify.read()) ?? [] {
            guard let inode = watches[event.watch] else { continue }
            if event.events.contains(.ignored) {
                watches[event.watch] = nil
                continue
            }
            if ownChanges.values.contains(where: { $0.covers(inode, event.name) }) { continue }
            guard pending.count < Self.mostPending else { continue }
            pending.append(HostEvent(inode: inode, event: event, suspects: ownChanges.values.compactMap(\.inode)))
        }
    }

    // MARK: Telling

    /// The agent has seen to the change.
    func handled() {
        monitor.withLock { answered = true }
        try? wake.signal()
    }

    private func follow() {
        guard let epoll = try? Epoll(), (try? epoll.add(inotify.raw, .readable, token: 0)) != nil,
            (try? epoll.add(wake.raw, .readable, token: 1)) != nil
        else { return }
        while true {
            try? epoll.wait(milliseconds: -1) { _, _ in }
            _ = try? wake.drain()
            Thread.sleep(microseconds: Self.gatherMicroseconds)
            let events = monitor.withLock { () -> [HostEvent] in
                take()
                defer { pending = [] }
                return pending
            }
            for change in fs.changes(of: events) { tell(change) }
        }
    }

    private func tell(_ emulation: Emulation) {
        monitor.withLock { answered = false }
        fs.monitor.withLock { fs.emulation = emulation }
        report(emulation.change)
        for _ in 0..<Self.answerMilliseconds {
            if monitor.withLock({ answered }) { break }
            Thread.sleep(microseconds: 1000)
        }
        fs.monitor.withLock { fs.emulation = nil }
    }
}

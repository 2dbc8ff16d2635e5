import FileCalls
import LinuxSys
import VMMWire

/// A change of the host's that the guest's agent is making once more, so that the guest's kernel tells those who watch.
/// To the agent's requests the device behaves as if the host had not made it yet; nothing is done on the host.
struct Emulation {
    /// A name in a directory; without a name, the directory (or single file) itself.
    struct Place {
        var directory: Inode
        var name: FileName?

        func isAt(_ directory: Inode, _ name: FileName) -> Bool { self.directory === directory && self.name == name }
    }

    var change: FileChange
    var place: Place
    var newPlace: Place?
    /// Of a change that was seen at a file itself: the file. Another can have its name by now.
    var file: Inode?
}

extension FileSystem {
    /// The path of a directory below its tree's root. With the monitor held.
    private func path(of directory: Inode) -> [UInt8]? {
        var parts: [ArraySlice<UInt8>] = []
        var at = directory
        while let parent = at.parent {
            guard let name = at.name else { return nil }
            parts.append(name.bytes)
            at = parent
        }
        return Array(parts.reversed().joined(separator: [UInt8(ascii: "/")]))
    }

    /// What the host's events amount to, in their order, each once.
    func changes(of events: [HostWatch.HostEvent]) -> [Emulation] {
        var all: [Emulation] = []
        var index = 0
        var taken: Set<Int> = []
        func add(_ emulation: Emulation?) {
            guard let emulation else { return }
            let repeats: Set<FileChange.Kind> = [.modified, .attributes]
            if repeats.contains(emulation.change.kind), all.contains(where: { $0.change == emulation.change }) {
                return
            }
            all.append(emulation)
        }
        while index < events.count {
            defer { index += 1 }
            if taken.contains(index) { continue }
            let (inode, event) = (events[index].inode, events[index].event)
            if isOwn(events[index]) || isToldGone(inode) { continue }
            if event.name.isEmpty,
                event.events.contains(.selfDeleted) || (event.events.contains(.attributes) && isGone(inode))
            {
                monitor.withLock { inode.isToldGone = true }
                // A directory that is watched itself has told of it.
                if !isSeenByParent(inode) { add(emulation(.deleted, inode, event)) }
                continue
            }
            if event.events.contains(.movedFrom),
                let other = events.indices.first(where: {
                    $0 > index && events[$0].event.events.contains(.movedTo) && events[$0].event.cookie == event.cookie
                })
            {
                taken.insert(other)
                add(emulation(.moved, inode, event, to: (events[other].inode, events[other].event)))
            } else if !event.events.isDisjoint(with: [.movedFrom, .deleted, .selfDeleted]) {
                add(emulation(.deleted, inode, event))
            } else if !event.events.isDisjoint(with: [.movedTo, .created]) {
                add(emulation(.created, inode, event))
            } else if !event.events.isDisjoint(with: [.modified, .closedAfterWriting]) {
                add(emulation(.modified, inode, event))
            } else if event.events.contains(.attributes) {
                add(emulation(.attributes, inode, event))
            }
        }
        return all
    }

    private func isToldGone(_ inode: Inode) -> Bool { monitor.withLock { inode.isToldGone } }
    private func isSeenByParent(_ inode: Inode) -> Bool { monitor.withLock { inode.parent?.isWatched == true } }

    /// Whether the host has taken a watched file's last name. The host's kernel tells only of a changed attribute (the
    /// number of links) as long as somebody has the file open, and that is we.
    private func isGone(_ inode: Inode) -> Bool {
        guard inode.kind != .directory, monitor.withLock({ inode.parent != nil }) else { return false }
        guard let found = try? descriptor(of: inode), let status = try? FileCalls.status(found.descriptor) else {
            return false
        }
        return status.links == 0
    }

    /// Whether it is the device's own change to a file that has further names (hard links).
    private func isOwn(_ event: HostWatch.HostEvent) -> Bool {
        let contents: Inotify.Events = [.modified, .attributes, .closedAfterWriting]
        guard !event.suspects.isEmpty, !event.event.events.isDisjoint(with: contents),
            let name = FileName(event.event.name[...]), let directory = try? descriptor(of: event.inode),
            let status = try? FileCalls.status(of: name, in: directory.descriptor)
        else { return false }
        let key = InodeKey(status, in: event.inode.tree)
        return event.suspects.contains { $0.key == key }
    }

    private func emulation(
        _ kind: FileChange.Kind, _ inode: Inode, _ event: Inotify.Event, to new: (Inode, Inotify.Event)? = nil
    ) -> Emulation? {
        guard let (place, wire) = place(inode, event) else { return nil }
        var newPlace: Emulation.Place?
        var newWire = FileChange.Place()
        if let new {
            guard let (there, wireThere) = self.place(new.0, new.1), there.name != nil else { return nil }
            (newPlace, newWire) = (there, wireThere)
        }
        let change = FileChange(
            kind: kind, tree: String(decoding: place.directory.tree.shared.name.bytes, as: UTF8.self), place: wire,
            newPlace: newWire, fileKind: (event.name.isEmpty ? inode.kind : fileKind(newPlace ?? place, event)).rawValue
        )
        let file = event.name.isEmpty && inode.kind != .directory ? inode : nil
        return Emulation(change: change, place: place, newPlace: newPlace, file: file)
    }

    /// An event at a directory names a file in it; one at a file is at its own name.
    private func place(_ inode: Inode, _ event: Inotify.Event) -> (Emulation.Place, FileChange.Place)? {
        monitor.withLock {
            var directory = inode
            var name: FileName?
            if inode.kind == .directory, !event.name.isEmpty {
                guard let inDirectory = FileName(event.name[...]) else { return nil }
                name = inDirectory
            } else if let parent = inode.parent {
                directory = parent
                name = inode.name
            }
            guard let path = path(of: directory) else { return nil }
            return (
                Emulation.Place(directory: directory, name: name),
                FileChange.Place(directory: path, name: name.map { Array($0.bytes) } ?? [])
            )
        }
    }

    private func fileKind(_ place: Emulation.Place, _ event: Inotify.Event) -> FileKind {
        if event.events.contains(.isDirectory) { return .directory }
        if let name = place.name, let directory = try? descriptor(of: place.directory),
            let kind = try? FileCalls.status(of: name, in: directory.descriptor).kind
        {
            return kind
        }
        return .regular
    }
}

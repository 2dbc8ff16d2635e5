import FileCalls
import Glibc
import LinuxSys
import Synchronization
import Testing
import VMMWire

@testable import VirtioFS

/// Changes of the host, as they are told to the guest's agent, and what the agent's requests then do.
struct WatchTests {
    final class Changes: Sendable {
        let all = Mutex<[FileChange]>([])
        func next() throws -> FileChange {
            for _ in 0..<2000 {
                if let change = all.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return change }
                usleep(1000)
            }
            return try #require(nil, "no change was told within two seconds")
        }
        var isQuiet: Bool {
            usleep(100_000)
            return all.withLock { $0.isEmpty }
        }
    }

    private func watching(_ guest: FuseGuest, _ inodes: [UInt64]) throws -> Changes {
        let changes = Changes()
        try guest.device.trees.watch(inodes, in: try #require(FileName("data"))) { change in
            changes.all.withLock { $0.append(change) }
        }
        return changes
    }

    @Test func changesOfTheHostAreToldAndOwnOnesAreNot() throws {
        let guest = try FuseGuest()
        let root = try guest.lookup("data", in: 1)
        let changes = try watching(guest, [root.inode])
        let (file, handle) = try guest.create("own", in: root.node)
        // Each by itself: what follows would cover for it.
        #expect(changes.isQuiet)
        _ = try guest.write(handle, file.node, at: 0, [1])
        #expect(changes.isQuiet)
        #expect(try guest.setAttributes(file.node, valid: 1, mode: 0o600).error == 0)
        #expect(changes.isQuiet)
        _ = try guest.done(.allocate, file.node, FuseGuest.bytes([handle, 0, 9]) + FuseGuest.bytes([UInt32(0), 0]))
        #expect(changes.isQuiet)
        try guest.release(handle, file.node)
        #expect(changes.isQuiet)
        let again = try guest.open(file.node, O_WRONLY | O_TRUNC)
        #expect(changes.isQuiet)
        try guest.release(again, file.node)
        _ = try guest.makeDirectory("folder", in: root.node)
        #expect(changes.isQuiet)
        _ = try guest.done(.link, root.node, FuseGuest.bytes([file.node]) + FuseGuest.text("linked"))
        #expect(changes.isQuiet)
        let attribute = FuseGuest.bytes([UInt32(1), 0, 0, 0]) + FuseGuest.text("user.x") + [1]
        _ = try guest.done(.setXAttribute, file.node, attribute)
        #expect(changes.isQuiet)
        #expect(try guest.rename("own", in: root.node, to: "renamed", in: root.node).error == 0)
        _ = try guest.done(.unlink, root.node, FuseGuest.text("renamed"))
        #expect(changes.isQuiet)

        try guest.hostWrite("f", "text")
        #expect(try changes.next().kind == .created)
        guest.device.trees.changeHandled()
        let modified = try changes.next()
        #expect(modified.kind == .modified && modified.place == .init(name: Array("f".utf8)) && modified.tree == "data")
        guest.device.trees.changeHandled()
        rename(guest.host("f"), guest.host("g"))
        let moved = try changes.next()
        #expect(moved.kind == .moved && moved.newPlace.name == Array("g".utf8))
        guest.device.trees.changeHandled()
        chmod(guest.host("g"), 0o600)
        #expect(try changes.next().kind == .attributes)
        guest.device.trees.changeHandled()
        unlink(guest.host("g"))
        #expect(try changes.next().kind == .deleted)
        guest.device.trees.changeHandled()
        // Not watched any more.
        try guest.device.trees.watch([], in: try #require(FileName("data"))) { _ in }
        try guest.hostWrite("h", "")
        #expect(changes.isQuiet)
    }

    @Test func agentMakesTheChangeOnceMore() throws {
        let guest = try FuseGuest()
        let root = try guest.lookup("data", in: 1)
        let changes = try watching(guest, [root.inode])
        try guest.hostWrite("f", "text")
        #expect(try changes.next().kind == .created)
        // To the agent the file is not there yet, to all others it is.
        guest.pid = 1
        #expect(try guest.call(.lookup, root.node, FuseGuest.text("f")).error == ENOENT)
        guest.pid = 7
        let file = try guest.lookup("f", in: root.node)
        guest.pid = 1
        let node = FuseGuest.bytes([UInt32(0o100600), 0, 0, 0]) + FuseGuest.text("f")
        #expect(try Entry(guest.done(.makeNode, root.node, node)).node == file.node)
        guest.device.trees.changeHandled()
        #expect(try changes.next().kind == .modified)
        let handle = try guest.open(file.node, O_WRONLY)
        _ = try guest.done(.allocate, file.node, FuseGuest.bytes([handle, 0, 1]) + FuseGuest.bytes([UInt32(1), 0]))
        try guest.release(handle, file.node)
        #expect(try guest.hostRead("f") == "text")
        guest.device.trees.changeHandled()
        unlink(guest.host("f"))
        #expect(try changes.next().kind == .deleted)
        #expect(try guest.lookup("f", in: root.node).node == file.node)
        _ = try guest.done(.unlink, root.node, FuseGuest.text("f"))
        guest.device.trees.changeHandled()
        #expect(changes.isQuiet)
    }

    /// A watch on a file, which an editor of the host's replaces; then the new file, which the host removes.
    @Test func watchedFilesThatGo() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        try guest.hostWrite("f", "old")
        let old = try guest.lookup("f", in: root)
        let changes = try watching(guest, [old.inode])
        try guest.hostWrite("new", "new")
        rename(guest.host("new"), guest.host("f"))
        for _ in 0..<2 {
            let change = try changes.next()
            #expect(change.kind == .deleted && change.place.name == Array("f".utf8))
            guest.pid = 1
            let told = try guest.lookup("f", in: root)
            #expect(told.links == 1)
            _ = try guest.done(.unlink, root, FuseGuest.text("f"))
            guest.pid = 7
            guest.device.trees.changeHandled()
            // The guest's kernel has seen it go, and lets the device close it.
            try guest.forget(told.node, 2)
            #expect(changes.isQuiet)
            guard told.node == old.node else { break }
            #expect(try guest.hostRead("f") == "new")
            let new = try guest.lookup("f", in: root)
            #expect(new.node != old.node)
            try guest.device.trees.watch([new.inode], in: try #require(FileName("data"))) { _ in }
            unlink(guest.host("f"))
        }
        // What the guest does itself it knows.
        let (own, _) = try guest.create("own", in: root)
        try guest.device.trees.watch([own.inode], in: try #require(FileName("data"))) { _ in }
        _ = try guest.done(.unlink, root, FuseGuest.text("own"))
        #expect(changes.isQuiet)
    }

    /// The directory is watched too: its own events are enough.
    @Test func watchedFileIsReplacedInAWatchedDirectory() throws {
        let guest = try FuseGuest()
        let root = try guest.lookup("data", in: 1)
        try guest.hostWrite("f", "old")
        try guest.hostWrite("new", "new")
        let old = try guest.lookup("f", in: root.node)
        let changes = try watching(guest, [root.inode, old.inode])
        rename(guest.host("new"), guest.host("f"))
        #expect(try changes.next().kind == .moved)
        guest.pid = 1
        let source = try guest.lookup("new", in: root.node)
        #expect(try guest.lookup("f", in: root.node).node == old.node)
        #expect(try guest.rename("new", in: root.node, to: "f", in: root.node).error == 0)
        guest.pid = 7
        guest.device.trees.changeHandled()
        #expect(changes.isQuiet)
        #expect(try guest.lookup("f", in: root.node).node == source.node)
    }

    @Test func agentWhoComesTooLateChangesNothing() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        try guest.hostWrite("f", "text")
        let file = try guest.lookup("f", in: root)
        guest.pid = 1
        #expect(try guest.call(.unlink, root, FuseGuest.text("f")).error == EBUSY)
        #expect(try guest.rename("f", in: root, to: "g", in: root).error == EBUSY)
        #expect(try guest.setAttributes(file.node, valid: 1, mode: 0o600).error == EBUSY)
        #expect(try guest.call(.open, file.node, FuseGuest.bytes([UInt32(O_WRONLY), 0])).error == EBUSY)
        let named = FuseGuest.bytes([UInt32(0o755), 0]) + FuseGuest.text("d")
        #expect(try guest.call(.makeDirectory, root, named).error == EBUSY)
        #expect(try File.list(guest.host("")) == ["f"])
    }
}

import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

/// Inodes without descriptors: bounded, and found again.
struct InodeTests {
    private static func limits(inodes: Int = 10000, files: Int = 100, descriptors: Int = 16) -> FileSystemLimits {
        FileSystemLimits(inodes: inodes, openFiles: files, descriptors: descriptors, lockOwners: 8)
    }

    private func kept(_ guest: FuseGuest) -> Int { guest.device.keptDescriptors }

    @Test func manyInodesNeedFewDescriptors() throws {
        let guest = try FuseGuest(limits: Self.limits())
        let root = try guest.root()
        var nodes: [UInt64] = []
        for number in 0..<500 {
            let directory = try guest.makeDirectory("d\(number)", in: root)
            let (file, handle) = try guest.create("f", in: directory.node)
            try guest.release(handle, file.node)
            nodes.append(file.node)
        }
        #expect(kept(guest) <= 16)
        for node in nodes {
            let handle = try guest.open(node)
            try guest.release(handle, node)
        }
        #expect(kept(guest) <= 16)
    }

    @Test func inodesAreBounded() throws {
        let guest = try FuseGuest(limits: Self.limits(inodes: 50))
        let root = try guest.root()
        for number in 0..<100 { try guest.hostWrite("f\(number)", "") }
        var nodes: [UInt64] = []
        for number in 0..<49 { nodes.append(try guest.lookup("f\(number)", in: root).node) }
        #expect(try guest.call(.lookup, root, FuseGuest.text("f50")).error == ENFILE)
        // The list goes on without them.
        #expect(try guest.names(in: root, plus: true).count == 102)
        for node in nodes { try guest.forget(node, 2) }
        _ = try guest.lookup("f50", in: root)
    }

    @Test func openFilesAreBounded() throws {
        let guest = try FuseGuest(limits: Self.limits(files: 5))
        let root = try guest.root()
        let (file, first) = try guest.create("f", in: root)
        for _ in 0..<4 { _ = try guest.open(file.node) }
        #expect(try guest.call(.open, file.node, FuseGuest.bytes([UInt32(O_RDONLY), 0])).error == ENFILE)
        try guest.release(first, file.node)
        _ = try guest.open(file.node)
        let body = FuseGuest.bytes([UInt32(bitPattern: O_RDWR), 0o600, 0, 0]) + FuseGuest.text("/")
        #expect(try guest.call(.temporaryFile, root, body).error == ENFILE)
    }

    @Test func foundByHandleAfterTheHostRenamed() throws {
        let guest = try FuseGuest(limits: Self.limits())
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root)
        try guest.release(handle, file.node)
        try guest.release(guest.open(file.node), file.node)
        // Pushes its descriptor out.
        for number in 0..<40 { _ = try guest.open(guest.create("x\(number)", in: root).entry.node) }
        rename(guest.host("f"), guest.host("g"))
        let answer = try guest.attributes(file.node)
        let hasHandles = FileCalls.handle(of: try FileDescriptor.reference(guest.host("g"))) != nil
        #expect(answer.error == 0 || (answer.error == ESTALE && !hasHandles))
        #expect(try guest.lookup("g", in: root).node == file.node)
        #expect(try guest.attributes(file.node).error == 0)
    }

    @Test func anotherFileUnderTheNameIsNotTakenForIt() throws {
        let guest = try FuseGuest(limits: Self.limits())
        let root = try guest.root()
        try guest.hostWrite("f", "old")
        let file = try guest.lookup("f", in: root)
        try guest.hostWrite("new", "new")
        rename(guest.host("new"), guest.host("f"))
        // Gone, unless its number was given out again.
        #expect(try guest.call(.open, file.node, FuseGuest.bytes([UInt32(O_RDONLY), 0])).error == ESTALE)
        let now = try guest.lookup("f", in: root)
        #expect(now.node != file.node)
        #expect(try guest.read(guest.open(now.node, O_RDONLY), now.node, at: 0, 10) == Array("new".utf8))
    }

    @Test func numbersAreNotUsedTwice() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        try guest.hostWrite("f", "")
        let first = try guest.lookup("f", in: root).node
        try guest.forget(first)
        let second = try guest.lookup("f", in: root).node
        #expect(first != second)
        #expect(try guest.attributes(first).error == ESTALE)
        for node in [0, 2, UInt64.max, first ^ (1 << 32), 99999] where node != second && node != root {
            #expect(try guest.attributes(node).error == ESTALE)
        }
        // More than it ever had.
        try guest.forget(second, UInt64.max)
        #expect(try guest.attributes(second).error == ESTALE)
        try guest.forget(root, UInt64.max)
        #expect(try guest.attributes(root).error == ESTALE)
        _ = try guest.root()
    }

    @Test func deepDirectoriesAreForgottenWithoutRecursion() throws {
        let guest = try FuseGuest(limits: Self.limits(inodes: 5000))
        var node = try guest.root()
        var nodes: [UInt64] = []
        for _ in 0..<3000 {
            node = try guest.makeDirectory("d", in: node).node
            nodes.append(node)
        }
        #expect(try guest.attributes(node).error == 0)
        // The deepest one last: its parents go with it.
        for node in nodes { try guest.forget(node) }
        #expect(try guest.attributes(nodes[0]).error == ESTALE)
        _ = try guest.root()
        try guest.initialize()
    }

    /// The host frees a file when its last descriptor is closed, which takes long for a big one: that is not done by who
    /// holds the monitor, but by who takes what was let go of.
    @Test func descriptorsAreClosedWithoutTheMonitor() throws {
        let guest = try FuseGuest()
        let name = try #require(FileName("t"))
        let root = SharedDescriptor(try FileDescriptor.reference(guest.path))
        let tree = try Tree(1, SharedTree(name: name, root: root))
        var table = InodeTable(Self.limits(descriptors: 1))
        weak var descriptor: SharedDescriptor?
        func add() throws -> Inode {
            let kept = SharedDescriptor(try FileDescriptor.reference(guest.path))
            let inode = try table.add(InodeKey(gone: UInt64(table.count), in: tree), .directory, in: tree)
            inode.lookups = 1
            descriptor = kept
            table.keep(kept, of: inode)
            return inode
        }
        let ends: [(inout InodeTable, Inode) throws -> Void] = [
            { table, inode in table.forget(inode, lookups: 1) }, { table, inode in table.drop(inode) },
            { table, _ in table.removeAll() },
            // Pushed out by another.
            { table, _ in
                let other = try table.add(InodeKey(gone: 1000, in: tree), .directory, in: tree)
                table.keep(SharedDescriptor(try FileDescriptor.reference(guest.path)), of: other)
            },
        ]
        for end in ends {
            let inode = try add()
            try end(&table, inode)
            #expect(descriptor != nil)
            _ = table.takeReleased()
            #expect(descriptor == nil)
        }
    }

    @Test func singleFileFollowsItsName() throws {
        let guest = try FuseGuest()
        try guest.hostWrite("f", "old")
        let name = try #require(FileName("file"))
        try guest.device.trees.add(
            SharedTree(
                name: name, root: SharedDescriptor(FileDescriptor.reference(guest.host("f"))),
                place: (SharedDescriptor(try FileDescriptor.directory(guest.host(""))), try #require(FileName("f")))))
        let file = try guest.lookup("file", in: 1)
        #expect(file.mode & 0o170000 == 0o100000)
        func text() throws -> String {
            let handle = try guest.open(file.node, O_RDONLY)
            defer { try? guest.release(handle, file.node) }
            return String(decoding: try guest.read(handle, file.node, at: 0, 100), as: UTF8.self)
        }
        #expect(try text() == "old")
        try guest.hostWrite("g", "newer")
        rename(guest.host("g"), guest.host("f"))
        #expect(try text() == "newer")
        #expect(try guest.lookup("file", in: 1).node == file.node)
        // Without a name it stays the file that it was when it was shared.
        unlink(guest.host("f"))
        #expect(try guest.attributes(file.node).error == 0)
        symlink("/etc/passwd", guest.host("f"))
        #expect(try text() == "old")
    }
}

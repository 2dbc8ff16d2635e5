import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

struct NameTests {
    @Test func negotiation() throws {
        let guest = try FuseGuest(initialize: false)
        let answer = try guest.initialize()
        #expect(try answer.number(0, UInt32.self) == 7)
        #expect(try answer.number(4, UInt32.self) == 38)
        let flags = InitFlags(rawValue: UInt64(try answer.number(12, UInt32.self)))
        #expect(flags.contains([.submounts, .posixACL, .maxPages, .killPrivileges2]))
        // Locks are the guest's own business, unless the host's programs shall see them.
        #expect(flags.isDisjoint(with: [.posixLocks, .flockLocks]))
        // Only where nobody else changes the files.
        #expect(!flags.contains(.writebackCache))
        #expect(try answer.number(20, UInt32.self) == 1 << 20)
    }

    @Test func writebackOnlyWhereTheGuestIsAlone() throws {
        let guest = try FuseGuest(cache: .always, initialize: false)
        let flags = InitFlags(rawValue: UInt64(try guest.initialize().number(12, UInt32.self)))
        #expect(flags.contains(.writebackCache))
    }

    /// The guest decides size and contents of files by itself, in all trees or in none.
    @Test func othersTreesDoNotComeToAGuestThatGathersWrites() throws {
        let guest = try FuseGuest(cache: .always)
        func tree(_ name: String, _ cache: CachePolicy) throws -> SharedTree {
            SharedTree(
                name: try #require(FileName(name)), root: SharedDescriptor(try FileDescriptor.reference(guest.path)),
                cache: cache)
        }
        for policy in [CachePolicy.auto, .never] {
            #expect(throws: Errno(rawValue: EMEDIUMTYPE)) { try guest.device.trees.add(tree("more", policy)) }
        }
        try guest.device.trees.add(tree("more", .always))
        // Without gathered writes all come.
        let other = try FuseGuest()
        try other.device.trees.add(tree("always", .always))
        try other.device.trees.add(tree("never", .never))
    }

    /// What the guest has gathered is data, of which the host knows nothing yet.
    @Test func holesAreTheGuestsOwnBusinessWhenItGathersWrites() throws {
        for (policy, code) in [(CachePolicy.always, ENOSYS), (.auto, 0)] {
            let guest = try FuseGuest(cache: policy)
            let (file, handle) = try guest.create("f", in: guest.root())
            _ = try guest.write(handle, file.node, at: 0, [1])
            let seek = FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(3), 0])
            #expect(try guest.call(.seek, file.node, seek).error == code)
        }
    }

    @Test func anotherProtocol() throws {
        let guest = try FuseGuest(initialize: false)
        let newer = try guest.done(.initialize, 0, FuseGuest.bytes([UInt32(8), 0, 0, 0]))
        #expect(try newer.number(0, UInt32.self) == 7)
        let older = try guest.call(.initialize, 0, FuseGuest.bytes([UInt32(7), 8, 0, 0]))
        #expect(older.error == EPROTO)
    }

    @Test func virtualRootHoldsTheTrees() throws {
        let guest = try FuseGuest()
        #expect(try guest.names(in: 1) == ["data"])
        let data = try guest.lookup("data", in: 1)
        #expect(data.mode & 0o170000 == 0o040000)
        #expect(try guest.call(.lookup, 1, FuseGuest.text("other")).error == ENOENT)
        let named = FuseGuest.bytes([UInt32(0o755), 0]) + FuseGuest.text("x")
        #expect(try guest.call(.makeDirectory, 1, named).error == EROFS)
        #expect(try guest.call(.makeNode, 1, FuseGuest.bytes([UInt32(0o644), 0]) + named).error == EROFS)
        #expect(try guest.call(.unlink, 1, FuseGuest.text("data")).error == EROFS)
    }

    /// Whoever is not its owner gets in by its mode: the kernel asks for a list of access first, and takes "not supported"
    /// for a failure.
    @Test func virtualRootHasNoAccessList() throws {
        let guest = try FuseGuest()
        func list(_ name: String) throws -> CInt {
            try guest.call(.getXAttribute, 1, FuseGuest.bytes([UInt32(100), 0]) + FuseGuest.text(name)).error
        }
        #expect(try list("system.posix_acl_access") == ENODATA)
        #expect(try list("user.x") == EOPNOTSUPP)
    }

    @Test func treesComeAndGo() throws {
        let guest = try FuseGuest()
        let name = try #require(FileName("more"))
        let more = SharedTree(name: name, root: SharedDescriptor(try FileDescriptor.reference(guest.path)))
        try guest.device.trees.add(more)
        #expect(throws: Errno.fileExists) { try guest.device.trees.add(more) }
        let root = try guest.lookup("more", in: 1)
        let data = try guest.lookup("data", in: root.node)
        // The same directory in another tree is another inode.
        #expect(try data.node != guest.root())
        try guest.device.trees.remove(name)
        #expect(throws: Errno.noSuchFile) { try guest.device.trees.remove(name) }
        #expect(try guest.attributes(root.node).error == ESTALE)
        #expect(try guest.attributes(data.node).error == ESTALE)
        #expect(try guest.call(.lookup, 1, FuseGuest.text("more")).error == ENOENT)
        #expect(try guest.attributes(guest.root()).error == 0)
    }

    @Test func makingAndRemoving() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root, mode: 0o1750)
        #expect(directory.mode == 0o041750)
        let target = [UInt8](repeating: UInt8(ascii: "t"), count: 4095)
        let link = try Entry(guest.done(.symlink, root, FuseGuest.text("s") + target + [0]))
        #expect(try guest.done(.readLink, link.node).bytes == target)
        let fifo = try Entry(
            guest.done(.makeNode, root, FuseGuest.bytes([UInt32(0o010644), 0, 0, 0]) + FuseGuest.text("f")))
        #expect(fifo.mode == 0o010644)
        #expect(try guest.call(.unlink, root, FuseGuest.text("d")).error == EISDIR)
        #expect(try guest.call(.removeDirectory, root, FuseGuest.text("s")).error == ENOTDIR)
        _ = try guest.done(.removeDirectory, root, FuseGuest.text("d"))
        _ = try guest.done(.unlink, root, FuseGuest.text("s"))
        _ = try guest.done(.unlink, root, FuseGuest.text("f"))
        #expect(try File.list(guest.host("")).isEmpty)
    }

    @Test func ownerAndUmask() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        guest.uid = 1234
        guest.gid = 4321
        let made = try guest.create("f", in: root, mode: 0o666, umask: 0o027)
        #expect(made.entry.uid == 1234 && made.entry.mode == 0o100640)
        // The directory belongs to another, and the guest's kernel has allowed it.
        let other = try guest.makeDirectory("d", in: root, mode: 0o700)
        #expect(other.uid == 1234)
        guest.uid = 0
        guest.gid = 0
        #expect(try guest.create("g", in: root).entry.uid == 0)
    }

    @Test(arguments: ["..", ".", "", "a/b", "/etc/passwd", "../../etc"]) func namesThatAreNone(name: String) throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let body = FuseGuest.bytes([UInt32(0o755), 0]) + FuseGuest.text(name)
        #expect(try guest.call(.makeDirectory, root, body).error == EINVAL)
        #expect(try guest.call(.unlink, root, FuseGuest.text(name)).error == EINVAL)
        #expect(try guest.rename(name, in: root, to: "x", in: root).error == EINVAL)
        #expect(try guest.rename("x", in: root, to: name, in: root).error == EINVAL)
        if name != "." && name != ".." { #expect(try guest.call(.lookup, root, FuseGuest.text(name)).error == ENOENT) }
    }

    @Test func dotsStayInTheTree() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root)
        #expect(try guest.lookup(".", in: directory.node).node == directory.node)
        #expect(try guest.lookup("..", in: directory.node).node == root)
        #expect(try guest.lookup("..", in: root).node == root)
        #expect(try guest.lookup("..", in: 1).node == 1)
    }

    @Test func longAndStrangeNames() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let long = String(repeating: "n", count: 255)
        _ = try guest.makeDirectory(long, in: root)
        #expect(try guest.names(in: root).contains(long))
        #expect(try guest.call(.lookup, root, FuseGuest.text(long + "n")).error == ENAMETOOLONG)
        let strange: [UInt8] = [0xFF, 0xFE, 0x0A, 0x80]
        let made = try Entry(guest.done(.makeDirectory, root, FuseGuest.bytes([UInt32(0o755), 0]) + strange + [0]))
        #expect(try Entry(guest.done(.lookup, root, strange + [0])).node == made.node)
        #expect(try guest.call(.makeDirectory, root, FuseGuest.bytes([UInt32(0o755), 0]) + [0x61]).error == EINVAL)
    }

    @Test func hardLinksAreOneInode() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let file = try guest.create("a", in: root)
        let link = try Entry(guest.done(.link, root, FuseGuest.bytes([file.entry.node]) + FuseGuest.text("b")))
        #expect(link.node == file.entry.node && link.links == 2)
        _ = try guest.done(.unlink, root, FuseGuest.text("b"))
        // It was last known as b; the handle, or another look at a, finds it.
        #expect(try guest.lookup("a", in: root).node == file.entry.node)
        #expect(try guest.attributes(file.entry.node).error == 0)
    }

    @Test func renames() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root)
        let file = try guest.create("f", in: directory.node)
        #expect(try guest.rename("d", in: root, to: "e", in: root).error == 0)
        #expect(try guest.attributes(file.entry.node).error == 0)
        #expect(try guest.rename("f", in: directory.node, to: "g", in: root).error == 0)
        #expect(try guest.lookup("g", in: root).node == file.entry.node)
        _ = try guest.create("h", in: root)
        #expect(try guest.rename("g", in: root, to: "h", in: root, flags: 1).error == EEXIST)
        #expect(try guest.rename("g", in: root, to: "e", in: root, flags: 2).error == 0)
        #expect(try guest.lookup("e", in: root).node == file.entry.node)
        #expect(try guest.lookup("g", in: root).node == directory.node)
        #expect(try guest.rename("e", in: root, to: "w", in: root, flags: 4).error == 0)
        #expect(try guest.lookup("e", in: root).mode & 0o170000 == 0o020000)
        #expect(try guest.rename("w", in: root, to: "x", in: root, flags: 8).error == EINVAL)
    }

    @Test func nothingLeavesItsTree() throws {
        let guest = try FuseGuest()
        let other = SharedTree(
            name: try #require(FileName("other")), root: SharedDescriptor(try FileDescriptor.reference(guest.path)))
        try guest.device.trees.add(other)
        let (root, otherRoot) = (try guest.root(), try guest.lookup("other", in: 1).node)
        let file = try guest.create("f", in: root)
        #expect(try guest.rename("f", in: root, to: "f", in: otherRoot).error == EXDEV)
        let link = try guest.call(.link, otherRoot, FuseGuest.bytes([file.entry.node]) + FuseGuest.text("l"))
        #expect(link.error == EXDEV)
    }

    @Test func readOnlyTree() throws {
        let guest = try FuseGuest(readOnly: true)
        try guest.hostWrite("f", "text")
        let root = try guest.root()
        let file = try guest.lookup("f", in: root).node
        let named = FuseGuest.bytes([UInt32(0o755), 0]) + FuseGuest.text("x")
        #expect(try guest.call(.makeDirectory, root, named).error == EROFS)
        #expect(try guest.call(.makeNode, root, FuseGuest.bytes([UInt32(0o100644), 0]) + named).error == EROFS)
        #expect(try guest.call(.create, root, FuseGuest.bytes([UInt32(O_RDWR), 0o644]) + named).error == EROFS)
        #expect(try guest.call(.symlink, root, FuseGuest.text("x") + FuseGuest.text("y")).error == EROFS)
        #expect(try guest.call(.link, root, FuseGuest.bytes([file]) + FuseGuest.text("y")).error == EROFS)
        #expect(try guest.call(.unlink, root, FuseGuest.text("f")).error == EROFS)
        #expect(try guest.rename("f", in: root, to: "g", in: root).error == EROFS)
        #expect(try guest.setAttributes(file, valid: 1, mode: 0o777).error == EROFS)
        #expect(try guest.setAttributes(file, valid: 8, size: 0).error == EROFS)
        for flags in [O_RDWR, O_WRONLY, O_RDONLY | O_TRUNC] {
            #expect(try guest.call(.open, file, FuseGuest.bytes([UInt32(bitPattern: flags), 0])).error == EROFS)
        }
        let attribute = FuseGuest.bytes([UInt32(1), 0, 0, 0]) + FuseGuest.text("user.x") + [1]
        #expect(try guest.call(.setXAttribute, file, attribute).error == EROFS)
        #expect(try guest.call(.removeXAttribute, file, FuseGuest.text("user.x")).error == EROFS)
        let handle = try guest.open(file, O_RDONLY)
        #expect(try guest.read(handle, file, at: 0, 100) == Array("text".utf8))
        let write = FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(1), 0, 0, 0, 0, 0]) + [1]
        #expect(try guest.call(.write, file, write).error == EBADF)
        #expect(try guest.hostRead("f") == "text")
    }
}

import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

/// What has lost its name while the guest still has it.
struct UnlinkedTests {
    /// Few descriptors: what is not held for a reason is pushed out.
    private static let limits = FileSystemLimits(inodes: 10000, openFiles: 100, descriptors: 4, lockOwners: 8)

    private func pushOut(_ guest: FuseGuest, _ root: UInt64) throws {
        for number in 0..<20 {
            let other = try guest.makeDirectory("other\(number)", in: root)
            try guest.release(guest.open(guest.create("f", in: other.node).entry.node), other.node)
        }
    }

    /// Everything that names the inode, not the open file.
    private func expectReached(_ guest: FuseGuest, _ node: UInt64, at location: SourceLocation = #_sourceLocation)
        throws
    {
        let attributes = try guest.attributes(node)
        #expect(attributes.error == 0, sourceLocation: location)
        let mode = try guest.setAttributes(node, valid: 1, mode: 0o600)
        #expect(mode.error == 0, sourceLocation: location)
        let times = try guest.setAttributes(node, valid: 16 | 32)
        #expect(times.error == 0, sourceLocation: location)
        let attribute = FuseGuest.bytes([UInt32(1), 0, 0, 0]) + FuseGuest.text("user.x") + [1]
        let set = try guest.call(.setXAttribute, node, attribute)
        #expect(set.error == 0 || set.error == EOPNOTSUPP, sourceLocation: location)
        let opened = try guest.call(.open, node, FuseGuest.bytes([UInt32(bitPattern: O_RDWR), 0]))
        #expect(opened.error == 0, sourceLocation: location)
    }

    @Test func createdAndUnlinkedWhileOpen() throws {
        let guest = try FuseGuest(limits: Self.limits)
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root)
        _ = try guest.done(.unlink, root, FuseGuest.text("f"))
        try expectReached(guest, file.node)
        try pushOut(guest, root)
        try expectReached(guest, file.node)
        try guest.release(handle, file.node)
        // By O_PATH a process has it without an open file of the device's.
        try expectReached(guest, file.node)
        // fuse_attr_out: nlink.
        let attributes = try guest.attributes(file.node)
        try #require(attributes.error == 0)
        #expect(try attributes.number(16 + 64, UInt32.self) == 0)
        try guest.forget(file.node)
        #expect(try guest.attributes(file.node).error == ESTALE)
    }

    @Test func replacedWhileOpen() throws {
        let guest = try FuseGuest(limits: Self.limits)
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root)
        let (new, _) = try guest.create("new", in: root)
        #expect(try guest.rename("new", in: root, to: "f", in: root).error == 0)
        try pushOut(guest, root)
        try expectReached(guest, file.node)
        try guest.release(handle, file.node)
        try expectReached(guest, file.node)
        #expect(try guest.lookup("f", in: root).node == new.node)
    }

    @Test func unlinkedByTheHostWhileOpen() throws {
        let guest = try FuseGuest(limits: Self.limits)
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root)
        unlink(guest.host("f"))
        try pushOut(guest, root)
        try expectReached(guest, file.node)
        try guest.release(handle, file.node)
    }

    @Test func removedWorkingDirectory() throws {
        let guest = try FuseGuest(limits: Self.limits)
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root)
        _ = try guest.done(.removeDirectory, root, FuseGuest.text("d"))
        try pushOut(guest, root)
        #expect(try guest.attributes(directory.node).error == 0)
        _ = try guest.done(.openDirectory, directory.node, FuseGuest.bytes([UInt32(0), 0]))
        try guest.forget(directory.node)
        #expect(try guest.attributes(directory.node).error == ESTALE)
        // What can't be removed is as it was.
        let full = try guest.makeDirectory("full", in: root)
        _ = try guest.makeDirectory("in", in: full.node)
        #expect(try guest.call(.removeDirectory, root, FuseGuest.text("full")).error == ENOTEMPTY)
        #expect(try guest.lookup("full", in: root).node == full.node)
    }

    @Test func descriptorsForThemAreBounded() throws {
        let guest = try FuseGuest(limits: Self.limits)
        let root = try guest.root()
        let before = try File.list("/proc/self/fd").count
        for number in 0..<500 {
            _ = try guest.makeDirectory("d\(number)", in: root)
            _ = try guest.done(.removeDirectory, root, FuseGuest.text("d\(number)"))
        }
        // Other tests run beside this one.
        #expect(try File.list("/proc/self/fd").count < before + 300)
    }
}

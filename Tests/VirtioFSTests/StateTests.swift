import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

struct StateTests {
    /// A device of its own on the same directory, which takes the place of the guest's.
    private func replace(_ guest: FuseGuest) throws {
        _ = guest.device.deactivate()
        let state = guest.device.save()
        let limits = FileSystemLimits(inodes: 1000, openFiles: 100, descriptors: 64, lockOwners: 8)
        guest.device = try FileSystemDevice(tag: "test", limits: limits)
        try guest.device.trees.add(
            SharedTree(
                name: try #require(FileName("data")),
                root: SharedDescriptor(FileDescriptor.reference(guest.path + "/data"))))
        guest.device.restore(state)
        let again = guest.device.save()
        #expect(again.inodes.allSatisfy(state.inodes.contains))
        try guest.device.activate(guest.setup())
    }

    @Test func guestGoesOnWithAnotherDevice() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root)
        let (file, handle) = try guest.create("f", in: directory.node)
        _ = try guest.write(handle, file.node, at: 0, Array("before".utf8))
        try replace(guest)
        #expect(try guest.read(handle, file.node, at: 0, 100) == Array("before".utf8))
        _ = try guest.write(handle, file.node, at: 6, Array(" and after".utf8))
        #expect(try guest.hostRead("d/f") == "before and after")
        #expect(try guest.lookup("f", in: directory.node).node == file.node)
        #expect(try guest.attributes(root).error == 0)
        // New nodeids and handles are none that the guest has had.
        let (other, otherHandle) = try guest.create("g", in: root)
        #expect(![root, directory.node, file.node].contains(other.node))
        #expect(otherHandle != handle)
        // What the guest was told before it can still forget.
        try guest.forget(file.node, 2)
        #expect(try guest.attributes(file.node).error == ESTALE)
    }

    @Test func whatIsGoneIsStale() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (gone, goneHandle) = try guest.create("gone", in: root)
        let (replaced, _) = try guest.create("replaced", in: root)
        // Still open, so that its number can't be given to the new file.
        try guest.hostWrite("new", "new")
        unlink(guest.host("gone"))
        rename(guest.host("new"), guest.host("replaced"))
        try replace(guest)
        #expect(try guest.attributes(gone.node).error == ESTALE)
        #expect(try guest.attributes(replaced.node).error == ESTALE)
        let read = FuseGuest.bytes([goneHandle, 0]) + FuseGuest.bytes([UInt32(10), 0, 0, 0, 0, 0])
        #expect(try guest.call(.read, gone.node, read).error == EBADF)
        // Nodeids of before are not given out again.
        for number in 0..<20 {
            let (new, _) = try guest.create("n\(number)", in: root)
            #expect(new.node != gone.node && new.node != replaced.node)
        }
    }
}

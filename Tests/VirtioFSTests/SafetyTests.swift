import FileCalls
import Glibc
import GuestMemory
import LinuxSys
import Testing
import Virtio

@testable import VirtioFS

struct SafetyTests {
    @Test func devicesAndFifosAreNeverOpened() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        mkfifo(guest.host("fifo"), 0o644)
        _ = mknod(guest.host("null"), mode_t(S_IFCHR) | 0o666, dev_t(1 << 8 | 3))
        symlink("/etc/passwd", guest.host("link"))
        for (name, code) in [("fifo", ENXIO), ("null", ENXIO), ("link", ELOOP)] {
            let node = try guest.lookup(name, in: root).node
            for flags in [O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC] {
                #expect(try guest.call(.open, node, FuseGuest.bytes([UInt32(bitPattern: flags), 0])).error == code)
            }
            #expect(try guest.setAttributes(node, valid: 8, size: 0).error == EINVAL)
        }
        #expect(try guest.call(.open, root, FuseGuest.bytes([UInt32(O_RDONLY), 0])).error == EISDIR)
    }

    @Test func symlinksAreNotFollowed() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        try File.makeDirectories(guest.path + "/secret", mode: 0o755)
        try FileDescriptor.open(guest.path + "/secret/key", O_WRONLY | O_CREAT, mode: 0o644).writeAll([1])
        symlink("../secret", guest.host("out"))
        let link = try guest.lookup("out", in: root)
        #expect(link.mode & 0o170000 == 0o120000)
        #expect(try guest.call(.lookup, link.node, FuseGuest.text("key")).error == ENOTDIR)
        #expect(try guest.call(.openDirectory, link.node, FuseGuest.bytes([UInt32(0), 0])).error == ENOTDIR)
        // The mode of what it points to stays as it is.
        #expect(try guest.setAttributes(link.node, valid: 1, mode: 0o777).error == EOPNOTSUPP)
    }

    /// A directory that the guest has looked up is replaced by a symlink to elsewhere.
    @Test func directoryBecomesASymlink() throws {
        let guest = try FuseGuest(
            limits: FileSystemLimits(inodes: 1000, openFiles: 100, descriptors: 1, lockOwners: 8))
        let root = try guest.root()
        let directory = try guest.makeDirectory("d", in: root)
        let (file, handle) = try guest.create("key", in: directory.node)
        try guest.release(handle, file.node)
        _ = try guest.makeDirectory("other", in: root)
        _ = try guest.lookup("other", in: root)
        try File.makeDirectories(guest.path + "/secret", mode: 0o755)
        try FileDescriptor.open(guest.path + "/secret/key", O_WRONLY | O_CREAT, mode: 0o644).writeAll([1])
        rename(guest.host("d"), guest.path + "/moved")
        symlink("../secret", guest.host("d"))
        let opened = try guest.call(.lookup, directory.node, FuseGuest.text("key"))
        // Either by its handle the directory that it was, or nothing.
        if opened.error == 0 {
            #expect(try Entry(opened).node == file.node)
        } else {
            #expect(opened.error == ESTALE)
        }
    }

    @Test func requestsThatAreNone() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        // Too short a body for every operation.
        for number in UInt32(0)...60 where Opcode(rawValue: number) != .destroy {
            var writer = ByteWriter()
            writer.append(UInt32(40))
            writer.append(number)
            writer.append(guest.unique)
            writer.append(root)
            writer.append(zeros: 16)
            try guest.memory.write(writer.bytes, at: FuseGuest.requestAt)
            try guest.requests.describe(0, FuseGuest.requestAt, 40, flags: 1, next: 1)
            try guest.requests.describe(1, FuseGuest.answerAt, 256, flags: 2)
            try guest.requests.offer(0)
            #expect(try guest.waitForUsed().written <= 256)
        }
        // A length that is not the chain's; no header at all; no room for an answer.
        for (length, count, room) in [(41, 40, 64), (0, 40, 64), (UInt32.max, 40, 64), (40, 39, 64), (40, 40, 8)]
            as [(UInt32, UInt32, UInt32)]
        {
            var writer = ByteWriter()
            writer.append(length)
            writer.append(Opcode.getAttributes.rawValue)
            writer.append(zeros: 32)
            try guest.memory.write(writer.bytes, at: FuseGuest.requestAt)
            try guest.requests.describe(0, FuseGuest.requestAt, count, flags: 1, next: 1)
            try guest.requests.describe(1, FuseGuest.answerAt, room, flags: 2)
            try guest.requests.offer(0)
            #expect(try guest.waitForUsed().written == (room < 16 ? 0 : 16))
        }
        #expect(try guest.attributes(root).error == 0 || guest.attributes(guest.root()).error == 0)
        let counters = guest.device.counters
        #expect(counters.badRequests >= 4)
    }

    @Test func writeOfMoreThanThereIs() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root)
        let body =
            FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32.max, 0]) + FuseGuest.bytes([UInt64(0)])
            + FuseGuest.bytes([UInt32(0), 0]) + [1, 2, 3]
        #expect(try guest.call(.write, file.node, body).error == EINVAL)
        for offset in [UInt64.max, 1 << 63] {
            let read = FuseGuest.bytes([handle, offset]) + FuseGuest.bytes([UInt32(10), 0, 0, 0, 0, 0])
            #expect(try guest.call(.read, file.node, read).error == EINVAL)
            let allocate = FuseGuest.bytes([handle, offset, 1]) + FuseGuest.bytes([UInt32(0), 0])
            #expect(try guest.call(.allocate, file.node, allocate).error == EINVAL)
        }
        #expect(try guest.setAttributes(file.node, valid: 8, size: UInt64.max).error == EFBIG)
    }

    /// A chain with room for an answer's header and nothing else.
    @Test func attributesWithoutRoom() throws {
        let guest = try FuseGuest()
        let (file, _) = try guest.create("f", in: guest.root())
        let value = FuseGuest.bytes([UInt32(5), 0, 0, 0]) + FuseGuest.text("user.a") + Array("value".utf8)
        _ = try guest.done(.setXAttribute, file.node, value)
        for room in [16 as UInt32, 17] {
            let body = FuseGuest.bytes([UInt32(100), 0])
            let get = try guest.call(.getXAttribute, file.node, body + FuseGuest.text("user.a"), room: room)
            #expect(get.error == ERANGE)
            #expect(try guest.call(.listXAttributes, file.node, body, room: room).error == ERANGE)
        }
    }

    @Test func brokenQueueSwitchesTheDeviceOff() throws {
        let guest = try FuseGuest()
        try guest.requests.describe(0, FuseGuest.requestAt, 40, flags: 1, next: 0)
        try guest.requests.offer(0)
        guest.run()
        #expect(guest.lastRun == .broken(.chainTooLong))
        let isActive = guest.device.isActive
        #expect(!isActive)
        guest.run()
        #expect(guest.lastRun == .whenWoken)
    }

    /// A request that the host does not answer for a while: the others go on.
    @Test func slowRequestHoldsUpNobody() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        try guest.hostWrite("slow", "text")
        let slow = try guest.lookup("slow", in: root)
        _ = try guest.attributes(root)
        // An open(2) breaks the lease, which takes until its holder gives in.
        let holder = try FileDescriptor.open(guest.host("slow"), O_RDONLY)
        _ = signal(SIGIO, SIG_IGN)
        #expect(fcntl(holder.raw, 1024, F_WRLCK) == 0, "F_SETLEASE")
        try guest.post(.open, slow.node, FuseGuest.bytes([UInt32(bitPattern: O_RDWR), 0]), slot: 0)
        let holderNumber = holder.raw
        let memory = guest.memory
        try Thread.detach {
            // Meanwhile the test's thread is in the open(2).
            usleep(300_000)
            withExtendedLifetime(memory) { _ = fcntl(holderNumber, 1024, F_UNLCK) }
        }
        try guest.post(.getAttributes, root, FuseGuest.bytes([UInt32(0), 0]) + FuseGuest.bytes([UInt64(0)]), slot: 1)
        let first = try guest.wait()
        let second = try guest.wait()
        // The one that came second was answered first, by another thread.
        #expect(first.slot == 1 && first.answer.error == 0)
        #expect(second.slot == 0 && second.answer.error == 0)
        let counters = guest.device.counters
        #expect(counters.handovers >= 1)
        _ = holder
    }
}

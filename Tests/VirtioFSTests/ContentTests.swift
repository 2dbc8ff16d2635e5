import FileCalls
import Glibc
import LinuxSys
import Testing

@testable import VirtioFS

struct ContentTests {
    @Test func writingAndReading() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root)
        #expect(try guest.write(handle, file.node, at: 3, Array("def".utf8)) == 3)
        #expect(try guest.write(handle, file.node, at: 0, Array("abc".utf8)) == 3)
        #expect(try guest.hostRead("f") == "abcdef")
        #expect(try guest.read(handle, file.node, at: 2, 100) == Array("cdef".utf8))
        #expect(try guest.read(handle, file.node, at: 6, 100).isEmpty)
        try guest.release(handle, file.node)
        let released = try guest.call(
            .read, file.node, FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(1), 0, 0, 0, 0, 0]))
        #expect(released.error == EBADF)
    }

    @Test func appendsGoToTheEndWhereverItIs() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root, flags: O_WRONLY | O_APPEND)
        _ = try guest.write(handle, file.node, at: 0, Array("one".utf8), flags: O_APPEND)
        try FileDescriptor.open(guest.host("f"), O_WRONLY | O_APPEND).writeAll(Array("host".utf8))
        // The guest believes that the file has three bytes.
        _ = try guest.write(handle, file.node, at: 3, Array("two".utf8), flags: O_APPEND)
        #expect(try guest.hostRead("f") == "onehosttwo")
    }

    @Test func unlinkedButOpen() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root)
        _ = try guest.write(handle, file.node, at: 0, Array("still here".utf8))
        _ = try guest.done(.unlink, root, FuseGuest.text("f"))
        #expect(try guest.read(handle, file.node, at: 0, 100) == Array("still here".utf8))
        let byHandle = try guest.done(
            .getAttributes, file.node, FuseGuest.bytes([UInt32(1), 0]) + FuseGuest.bytes([handle]))
        #expect(try byHandle.number(16 + 8, UInt64.self) == 10)
        // The host does it too.
        let (other, otherHandle) = try guest.create("g", in: root)
        unlink(guest.host("g"))
        _ = try guest.write(otherHandle, other.node, at: 0, [1, 2, 3])
        #expect(try guest.read(otherHandle, other.node, at: 0, 100) == [1, 2, 3])
    }

    @Test func temporaryFiles() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let answer = try guest.done(
            .temporaryFile, root, FuseGuest.bytes([UInt32(bitPattern: O_RDWR), 0o600, 0, 0]) + FuseGuest.text("/"))
        let (entry, handle) = (try Entry(answer), try answer.number(128, UInt64.self))
        #expect(entry.links == 0)
        _ = try guest.write(handle, entry.node, at: 0, Array("unnamed".utf8))
        #expect(try File.list(guest.host("")).isEmpty)
        let linked = try Entry(guest.done(.link, root, FuseGuest.bytes([entry.node]) + FuseGuest.text("named")))
        #expect(linked.node == entry.node && linked.links == 1)
        #expect(try guest.hostRead("named") == "unnamed")
    }

    @Test func sparseFilesBeyondFourGiB() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (file, handle) = try guest.create("big", in: root)
        let far: UInt64 = 5 << 30
        _ = try guest.write(handle, file.node, at: far, Array("far".utf8))
        #expect(try guest.lookup("big", in: root).size == far + 3)
        let data = try guest.done(.seek, file.node, FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(3), 0]))
        #expect(try data.number(0, UInt64.self) == far)
        let hole = try guest.done(.seek, file.node, FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(4), 0]))
        #expect(try hole.number(0, UInt64.self) == 0)
        #expect(try guest.call(.seek, file.node, FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(0), 0])).error == EINVAL)
        // Punched out, the size stays.
        let punch = FuseGuest.bytes([handle, far, 3]) + FuseGuest.bytes([UInt32(3), 0])
        _ = try guest.done(.allocate, file.node, punch)
        #expect(try guest.read(handle, file.node, at: far, 10) == [0, 0, 0])
        #expect(try guest.setAttributes(file.node, valid: 8, size: 7).error == 0)
        #expect(try guest.lookup("big", in: root).size == 7)
    }

    @Test func copyingOnTheHost() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (a, from) = try guest.create("a", in: root)
        let (b, to) = try guest.create("b", in: root)
        _ = try guest.write(from, a.node, at: 0, Array("0123456789".utf8))
        let body = FuseGuest.bytes([from, 2, b.node, to, 1, 5, 0])
        #expect(try guest.done(.copyRange, a.node, body).number(0, UInt32.self) == 5)
        #expect(try guest.read(to, b.node, at: 0, 10) == [0] + Array("23456".utf8))
        // A handle that is not open for writing.
        let readOnly = try guest.open(b.node, O_RDONLY)
        let refused = FuseGuest.bytes([from, 0, b.node, readOnly, 0, 5, 0])
        #expect(try guest.call(.copyRange, a.node, refused).error == EBADF)
    }

    @Test func setUserIDGoesWhenToldSo() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        let (file, handle) = try guest.create("f", in: root, mode: 0o755)
        #expect(try guest.setAttributes(file.node, valid: 1, mode: 0o6755).error == 0)
        _ = try guest.write(handle, file.node, at: 0, [1])
        #expect(try guest.lookup("f", in: root).mode & 0o7777 == 0o6755)
        // FUSE_WRITE_KILL_SUIDGID
        let body =
            FuseGuest.bytes([handle, 0]) + FuseGuest.bytes([UInt32(1), 4]) + FuseGuest.bytes([UInt64(0)])
            + FuseGuest.bytes([UInt32(0), 0]) + [2]
        _ = try guest.done(.write, file.node, body)
        #expect(try guest.lookup("f", in: root).mode & 0o7777 == 0o755)
    }

    @Test func cacheIsKeptOnlyWhileTheFileIsTheSame() throws {
        let guest = try FuseGuest()
        let root = try guest.root()
        try guest.hostWrite("f", "text")
        let old = [timespec(tv_sec: 1_000_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000_000, tv_nsec: 0)]
        utimensat(AT_FDCWD, guest.host("f"), old, 0)
        let file = try guest.lookup("f", in: root).node
        func flags() throws -> UInt32 {
            try guest.done(.open, file, FuseGuest.bytes([UInt32(O_RDONLY), 0])).number(8)
        }
        // Its ctime is of now: the host could change it again within the same tick.
        #expect(try flags() == 0)
        #expect(try flags() == 0)
        let always = try FuseGuest(cache: .always)
        let other = try always.create("f", in: always.root())
        #expect(try always.done(.open, other.entry.node, FuseGuest.bytes([UInt32(O_RDONLY), 0])).number(8, UInt32.self) == 2)
    }

    @Test func settledStamp() throws {
        let guest = try FuseGuest()
        try guest.hostWrite("f", "text")
        var stamp = ContentStamp(try FileCalls.status(FileDescriptor.reference(guest.host("f"))))
        let now = Int64(clamping: Clock.realtimeNanoseconds() / 1_000_000_000)
        #expect(!stamp.isSettled(at: now))
        #expect(stamp.isSettled(at: now + 100))
        stamp.modified.seconds = Int64.min
        stamp.changed.seconds = Int64.min
        #expect(!stamp.isSettled(at: now))
    }
}

import FileCalls
import Glibc
import LinuxSys
import Testing
import Virtio

@testable import VirtioFS

struct LockTests {
    private let guest: FuseGuest
    private let node: UInt64
    private let handle: UInt64

    init() throws {
        guest = try FuseGuest(sharesLocks: true)
        let (entry, handle) = try guest.create("f", in: guest.root())
        node = entry.node
        self.handle = handle
    }

    private func body(
        _ owner: UInt64, _ type: CInt, from start: UInt64 = 0, to end: UInt64 = UInt64(Int64.max), whole: Bool = false,
        handle: UInt64? = nil
    ) -> [UInt8] {
        FuseGuest.bytes([handle ?? self.handle, owner, start, end])
            + FuseGuest.bytes([UInt32(bitPattern: type), 77, whole ? 1 : 0, 0])
    }

    @Test func ownersAreInEachOthersWay() throws {
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 10, to: 19)).error == 0)
        #expect(try guest.call(.setLock, node, body(2, F_WRLCK, from: 15, to: 15)).error == EAGAIN)
        #expect(try guest.call(.setLock, node, body(2, F_WRLCK, from: 20, to: 29)).error == 0)
        let found = try guest.done(.getLock, node, body(2, F_RDLCK, from: 0, to: 100))
        #expect(try found.number(0, UInt64.self) == 10)
        #expect(try found.number(8, UInt64.self) == 19)
        #expect(try found.number(16, UInt32.self) == UInt32(bitPattern: F_WRLCK))
        // close(2) of any of the owner's descriptors.
        _ = try guest.done(
            .flush, node, FuseGuest.bytes([handle]) + FuseGuest.bytes([UInt32(0), 0]) + FuseGuest.bytes([UInt64(1)]))
        let none = try guest.done(.getLock, node, body(2, F_WRLCK, from: 0, to: 19))
        #expect(try none.number(16, UInt32.self) == UInt32(bitPattern: F_UNLCK))
    }

    @Test func hostsProgramsSeeThem() throws {
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK)).error == 0)
        let host = try FileDescriptor.open(guest.host("f"), O_RDWR)
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        #expect(fcntl(host.raw, F_SETLK, &lock) == -1)
        #expect(try guest.call(.setLock, node, body(1, F_UNLCK)).error == 0)
        #expect(fcntl(host.raw, F_SETLK, &lock) == 0)
        #expect(try guest.call(.setLock, node, body(1, F_RDLCK)).error == EAGAIN)
    }

    @Test func waitingIsAnsweredWhenTheLockIsFree() throws {
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK)).error == 0)
        try guest.post(.setLockWaiting, node, body(2, F_WRLCK), slot: 3)
        guest.run()
        #expect(try guest.take() == nil)
        // First it rests, then it looks for locks.
        guest.run()
        #expect(guest.lastRun == .within(milliseconds: 1))
        // Others go on.
        #expect(try guest.attributes(node).error == 0)
        #expect(try guest.call(.setLock, node, body(1, F_UNLCK)).error == 0)
        usleep(30_000)
        guest.run()
        let late = try #require(try guest.take())
        #expect(late.slot == 3 && late.answer.error == 0)
        #expect(guest.lastRun == .whenWoken)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK)).error == EAGAIN)
    }

    private func flush(_ owner: UInt64) throws {
        _ = try guest.done(
            .flush, node, FuseGuest.bytes([handle]) + FuseGuest.bytes([UInt32(0), 0]) + FuseGuest.bytes([owner]))
    }

    /// Another thread of a process that waits closes the file.
    @Test func whatWasWaitedForIsKept() throws {
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 0, to: 9)).error == 0)
        #expect(try guest.call(.setLock, node, body(2, F_WRLCK, from: 20, to: 29)).error == 0)
        try guest.post(.setLockWaiting, node, body(2, F_WRLCK, from: 0, to: 9), slot: 3)
        guest.run()
        try flush(2)
        // What it had goes.
        #expect(try guest.call(.setLock, node, body(3, F_WRLCK, from: 20, to: 29)).error == 0)
        #expect(try guest.call(.setLock, node, body(1, F_UNLCK, from: 0, to: 9)).error == 0)
        let late = try guest.wait()
        #expect(late.slot == 3 && late.answer.error == 0)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 0, to: 9)).error == EAGAIN)
        try flush(2)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 0, to: 9)).error == 0)
    }

    @Test func ownersThatWouldWaitForEachOther() throws {
        let (other, otherHandle) = try guest.create("other", in: guest.root())
        for owner in [1 as UInt64, 2] {
            #expect(try guest.call(.setLock, node, body(owner, F_WRLCK, from: owner, to: owner)).error == 0)
        }
        #expect(try guest.call(.setLock, other.node, body(3, F_RDLCK, handle: otherHandle)).error == 0)
        // 1 waits for 2, 2 for 3 in another file.
        try guest.post(.setLockWaiting, node, body(1, F_WRLCK, from: 2, to: 2), slot: 3)
        guest.run()
        try guest.post(.setLockWaiting, other.node, body(2, F_WRLCK, handle: otherHandle), slot: 4)
        guest.run()
        #expect(try guest.take() == nil)
        // What nobody has is no reason, and what the waiting ones have is one.
        #expect(try guest.call(.setLockWaiting, node, body(3, F_WRLCK, from: 7, to: 7)).error == 0)
        #expect(try guest.call(.setLockWaiting, node, body(3, F_RDLCK, from: 1, to: 1)).error == EDEADLK)
        // It gives up, and all get what they wait for.
        #expect(try guest.call(.setLock, other.node, body(3, F_UNLCK, handle: otherHandle)).error == 0)
        #expect(try guest.wait().slot == 4)
        #expect(try guest.call(.setLock, node, body(2, F_UNLCK)).error == 0)
        #expect(try guest.wait().slot == 3)
    }

    @Test func theProcessInTheWayIsNamed() throws {
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 10, to: 19)).error == 0)
        #expect(try guest.done(.getLock, node, body(2, F_WRLCK)).number(20, UInt32.self) == 77)
        // The host's programs have no number in the guest.
        #expect(try guest.call(.setLock, node, body(1, F_UNLCK)).error == 0)
        let host = try FileDescriptor.open(guest.host("f"), O_RDWR)
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        #expect(fcntl(host.raw, F_SETLK, &lock) == 0)
        #expect(try guest.done(.getLock, node, body(2, F_WRLCK)).number(20, UInt32.self) == 0)
    }

    @Test func rangesAreThoseOfTheHost() throws {
        func inTheWay(_ at: UInt64) throws -> UInt32 {
            try guest.done(.getLock, node, body(2, F_RDLCK, from: at, to: at)).number(20, UInt32.self)
        }
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 10, to: 29)).error == 0)
        #expect(try guest.call(.setLock, node, body(1, F_RDLCK, from: 15, to: 19)).error == 0)
        #expect(try guest.call(.setLock, node, body(1, F_UNLCK, from: 25, to: 27)).error == 0)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 30, to: 39)).error == 0)
        let held = try (8..<42).filter { try inTheWay(UInt64($0)) == 77 }
        #expect(held == Array(10...14) + Array(20...24) + Array(28...39))
    }

    @Test func interruptedWaiting() throws {
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK)).error == 0)
        let waiting = guest.unique
        try guest.post(.setLockWaiting, node, body(2, F_WRLCK), slot: 3)
        guest.run()
        try guest.post(.interrupt, 0, FuseGuest.bytes([waiting]), room: 0, slot: 4)
        guest.run()
        var written: [UInt32: UInt32] = [:]
        while let used = try guest.requests.takeUsed() { written[used.head / 4] = used.written }
        #expect(written == [3: 16, 4: 0])
        let error: Int32 = try guest.memory.load(FuseGuest.answerAt + 3 * 0x2_0000 + 4)
        #expect(error == -EINTR)
    }

    @Test func wholeFileLocksBelongToTheOpenFile() throws {
        let other = try guest.open(node)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, whole: true)).error == 0)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, whole: true, handle: other)).error == EAGAIN)
        try guest.release(handle, node)
        // Another test may be starting a process, which has a copy of every descriptor until it executes.
        var error = EAGAIN
        for _ in 0..<100 where error == EAGAIN {
            error = try guest.call(.setLock, node, body(1, F_WRLCK, whole: true, handle: other)).error
            if error == EAGAIN { usleep(10_000) }
        }
        #expect(error == 0)
    }

    @Test func nonsense() throws {
        #expect(try guest.call(.setLock, node, body(1, 9)).error == EINVAL)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, from: 10, to: 5)).error == EINVAL)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, to: UInt64.max)).error == EINVAL)
        #expect(try guest.call(.setLock, node, body(1, F_WRLCK, handle: 999)).error == EBADF)
    }

    @Test func attributes() throws {
        func get(_ size: UInt32, _ name: String) throws -> Answer {
            try guest.call(.getXAttribute, node, FuseGuest.bytes([size, 0]) + FuseGuest.text(name))
        }
        func set(_ name: String, _ value: [UInt8], flags: UInt32 = 0) throws -> CInt {
            try guest.call(
                .setXAttribute, node,
                FuseGuest.bytes([UInt32(value.count), flags, 0, 0]) + FuseGuest.text(name) + value
            ).error
        }
        #expect(try get(0, "user.a").error == ENODATA)
        #expect(try set("user.a", Array("value".utf8)) == 0)
        #expect(try set("user.a", [1], flags: 1) == EEXIST)
        #expect(try set("user.none", [1], flags: 2) == ENODATA)
        #expect(try get(0, "user.a").number(0, UInt32.self) == 5)
        #expect(try get(4, "user.a").error == ERANGE)
        #expect(try get(100, "user.a").bytes == Array("value".utf8))
        let size = try guest.done(.listXAttributes, node, FuseGuest.bytes([UInt32(0), 0])).number(0, UInt32.self)
        #expect(size >= 7)
        let list = try guest.done(.listXAttributes, node, FuseGuest.bytes([UInt32(1000), 0])).bytes
        #expect(String(decoding: list, as: UTF8.self).contains("user.a\0"))
        #expect(try guest.call(.removeXAttribute, node, FuseGuest.text("user.a")).error == 0)
        #expect(try guest.call(.removeXAttribute, node, FuseGuest.text("user.a")).error == ENODATA)
        #expect(try get(10, "").error == EINVAL)
    }
}

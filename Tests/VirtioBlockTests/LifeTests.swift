import DeviceTesting
import Glibc
import GuestMemory
import LinuxSys
import Testing
import Virtio

@testable import VirtioBlock

@Suite("Block device: configuration, set-up and pauses")
struct LifeTests {
    @Test("the configuration space, and no byte beyond it")
    func configuration() throws {
        let guest = try FakeGuest()
        let bytes = try #require(guest.configuration(at: 0, count: 72))
        #expect(Array(bytes[..<8]) == [64, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[12..<16]) == [126, 0, 0, 0])
        #expect(Array(bytes[20..<32]) == [0, 2, 0, 0, 3, 0, 8, 0, 0, 0, 0, 0])
        #expect(Array(bytes[32..<36]) == [1, 0, 1, 0])
        #expect(Array(bytes[36..<60]) == [0, 0, 32, 0, 64, 0, 0, 0, 8, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0])
        #expect(guest.configuration(at: 72, count: 0) == [])
        for (offset, count) in [(72, 1), (0, 73), (.max, 1), (1, .max), (.max, .max)] as [(UInt32, UInt32)] {
            #expect(guest.configuration(at: offset, count: count) == nil)
        }
    }

    @Test("only the cache mode can be written, with 0 or 1")
    func cacheMode() throws {
        let guest = try FakeGuest()
        #expect(guest.configure([0], at: 32))
        #expect(guest.configuration(at: 32, count: 1) == [0])
        #expect(guest.device.save() == BlockState(isCached: false))
        for (bytes, offset) in [([2], 32), ([1, 0], 32), ([], 32), ([1], 31), ([1], 0), ([1], .max)]
            as [([UInt8], UInt32)]
        {
            #expect(!guest.configure(bytes, at: offset))
        }
        #expect(try guest.ask(1, 0, sending: [UInt8](repeating: 1, count: 512)).status == 0)
        guest.device.reset()
        #expect(guest.device.save() == BlockState(isCached: true))
        guest.device.restore(BlockState(isCached: false))
        #expect(guest.configuration(at: 32, count: 1) == [0])
    }

    @Test("a pause keeps the position, and what was offered is carried out before it")
    func pause() throws {
        let guest = try FakeGuest()
        _ = try guest.ask(0, 0, room: 512)
        try guest.offer(FakeGuest.header(1, 2) + [UInt8](repeating: 7, count: 512), room: 1)
        let positions = guest.pause()
        #expect(positions == [QueuePosition(nextAvailable: 2)])
        #expect(try guest.answer(room: 1).status == 0)
        #expect(try Array(guest.contents[1024..<1536]) == [UInt8](repeating: 7, count: 512))
        #expect(!guest.isActive)
        #expect(guest.run() == .whenWoken)
        #expect(guest.pause() == [nil])
        try guest.activate(position: 2)
        #expect(try guest.ask(0, 2, room: 512).data == [UInt8](repeating: 7, count: 512))
    }

    @Test("what is no disk is refused")
    func refused() throws {
        #expect(throws: Errno.invalidArgument) {
            _ = try BlockDevice(
                image: FileDescriptor.open("/tmp", O_RDONLY | O_DIRECTORY), isReadOnly: true, identity: "a")
        }
        #expect(throws: Errno.invalidArgument) {
            _ = try BlockDevice(image: FileDescriptor.open("/dev/null", O_RDWR), isReadOnly: false, identity: "a")
        }
        for identity in ["", "123456789012345678901", "ä", "a\0b"] {
            #expect(throws: Errno.invalidArgument) {
                _ = try BlockDevice(
                    image: FileDescriptor.open("/proc/self/exe", O_RDONLY), isReadOnly: true, identity: identity)
            }
        }
    }

    @Test("polling asks for no kicks, and `run` asks for one again")
    func polling() throws {
        let guest = try FakeGuest(features: [.version1])
        #expect(!guest.poll())
        #expect(try guest.queue.usedFlags() == 1)
        try guest.offer(FakeGuest.header(0, 0), room: 513)
        #expect(guest.poll())
        #expect(try guest.answer(room: 513).status == 0)
        #expect(guest.run() == .whenWoken)
        #expect(try guest.queue.usedFlags() == 0)
        // No FLUSH was negotiated.
        #expect(try guest.ask(1, 0, sending: [UInt8](repeating: 1, count: 512)).status == 0)
    }

    @Test("many requests: a budget for each turn")
    func budget() throws {
        let guest = try FakeGuest()
        try guest.memory.write(FakeGuest.header(4, 0), at: FakeGuest.headerAt)
        for index in 0..<UInt16(40) {
            try guest.queue.describe(2 * index, FakeGuest.headerAt, 16, flags: 1, next: 2 * index + 1)
            try guest.queue.describe(2 * index + 1, FakeGuest.statusAt + UInt64(index), 1, flags: 2)
            try guest.queue.offer(2 * index)
        }
        #expect(guest.run() == .atOnce)
        #expect(guest.device.counters.requests == 32)
        #expect(guest.run() == .whenWoken)
        #expect(guest.device.counters.requests == 40)
    }
}

import DeviceTesting
import Glibc
import LinuxSys
import Testing
import Virtio

@testable import VirtioBlock

@Suite("Block device: requests")
struct RequestTests {
    @Test("IN reads sectors, OUT writes them")
    func readAndWrite() throws {
        let guest = try FakeGuest()
        let read = try guest.ask(0, 3, room: 1024)
        #expect(read == Answer(status: 0, data: FakeGuest.pattern(1536..<2560), written: 1025))
        let data = [UInt8](repeating: 0x5A, count: 512)
        #expect(try guest.ask(1, 63, sending: data) == Answer(status: 0, data: [], written: 1))
        let image = try guest.contents
        #expect(image.count == 64 * 512)
        #expect(Array(image.suffix(512)) == data)
        #expect(Array(image.prefix(63 * 512)) == FakeGuest.pattern(0..<63 * 512))
        #expect(guest.device.counters.bytesRead == 1024)
        #expect(guest.device.counters.bytesWritten == 512)
        #expect(guest.device.counters.errors == 0)
    }

    @Test("FLUSH, GET_ID")
    func others() throws {
        let guest = try FakeGuest()
        #expect(try guest.ask(4).status == 0)
        #expect(guest.device.counters.flushes == 1)
        let identity = try guest.ask(8, room: 20)
        #expect(
            identity == Answer(status: 0, data: Array("a disk".utf8) + [UInt8](repeating: 0, count: 14), written: 21))
    }

    @Test("WRITE_ZEROES and DISCARD clear what they name and nothing else", arguments: [false, true])
    func clear(mayUnmap: Bool) throws {
        let guest = try FakeGuest()
        let range = FakeGuest.range(5, 3, flags: mayUnmap ? 1 : 0)
        #expect(try guest.ask(13, sending: range).status == 0)
        var expected = FakeGuest.pattern(0..<64 * 512)
        expected.replaceSubrange(5 * 512..<8 * 512, with: [UInt8](repeating: 0, count: 1536))
        #expect(try guest.contents == expected)
        #expect(try guest.ask(11, sending: FakeGuest.range(16, 8) + FakeGuest.range(40, 1)).status == 0)
        let image = try guest.contents
        #expect(image.count == expected.count)
        for sector in 0..<64 where !(16..<24).contains(sector) && sector != 40 {
            #expect(image[sector * 512..<sector * 512 + 512] == expected[sector * 512..<sector * 512 + 512])
        }
        #expect(guest.device.counters.discards == 2)
        #expect(guest.device.counters.zeroes == 1)
    }

    @Test("data in many segments, the header in two, the status in one with data")
    func anyLayout() throws {
        let guest = try FakeGuest()
        let header = FakeGuest.header(0, 1)
        try guest.memory.write(header, at: 0x1_0000)
        let at: UInt64 = 0x3_0000
        let parts: [(UInt64, UInt32, UInt16)] = [
            (0x1_0000, 3, 1), (0x1_0003, 13, 1), (at, 1, 3), (at + 0x1000, 500, 3), (at + 0x2000, 12, 2),
        ]
        for (index, part) in parts.enumerated() {
            try guest.queue.describe(UInt16(index), part.0, part.1, flags: part.2, next: UInt16(index + 1))
        }
        try guest.queue.offer(0)
        #expect(guest.run() == .whenWoken)
        #expect(try guest.queue.takeUsed()?.written == 513)
        let expected = FakeGuest.pattern(512..<1024)
        let read =
            try guest.memory.read(at, count: 1) + guest.memory.read(at + 0x1000, count: 500)
            + guest.memory.read(at + 0x2000, count: 11)
        #expect(read == expected)
        #expect(try guest.memory.load(at + 0x2000 + 11, as: UInt8.self) == 0)
    }

    @Test("a read-only disk reads, and refuses what writes")
    func readOnly() throws {
        let guest = try FakeGuest(readOnly: true)
        #expect(guest.device.features.contains(.blockReadOnly))
        #expect(guest.device.features.isDisjoint(with: [.blockDiscard, .blockWriteZeroes, .blockCacheMode]))
        #expect(try guest.ask(0, 0, room: 512).status == 0)
        #expect(try guest.ask(4).status == 0)
        #expect(try guest.ask(1, 0, sending: [UInt8](repeating: 1, count: 512)).status == 1)
        #expect(try guest.ask(11, sending: FakeGuest.range(0, 1)).status == 1)
        #expect(try guest.ask(13, sending: FakeGuest.range(0, 1)).status == 1)
        #expect(!guest.configure([0], at: 32))
        #expect(try guest.contents == FakeGuest.pattern(0..<64 * 512))
    }

    @Test("an image that was made shorter is an error, and does not grow")
    func shortened() throws {
        let guest = try FakeGuest()
        truncate(guest.path, 1000)
        #expect(try guest.ask(0, 1, room: 512).status == 1)
        #expect(try guest.ask(0, 0, room: 512).status == 0)
        #expect(try guest.contents.count == 1000)
    }

    @Test("whole sectors are the disk, the rest of the file is not")
    func oddSize() throws {
        let guest = try FakeGuest(bytes: 4 * 512 + 100)
        #expect(guest.configuration(at: 0, count: 8) == [4, 0, 0, 0, 0, 0, 0, 0])
        #expect(try guest.ask(1, 3, sending: [UInt8](repeating: 9, count: 512)).status == 0)
        #expect(try guest.ask(1, 4, sending: [UInt8](repeating: 9, count: 512)).status == 1)
        #expect(try Array(guest.contents.suffix(100)) == FakeGuest.pattern(2048..<2148))
    }
}

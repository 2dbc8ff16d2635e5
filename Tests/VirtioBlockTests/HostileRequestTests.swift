import DeviceTesting
import Glibc
import GuestMemory
import LinuxSys
import Testing
import Virtio

@testable import VirtioBlock

/// Sectors and counts at which a check that is off by one, signed or too narrow shows.
private let sectors: [UInt64] = [
    63, 64, 65, 1 << 31, 1 << 32, 1 << 54, (1 << 55) - 1, 1 << 55, 1 << 62, 1 << 63, .max - 1, .max,
]

@Suite("Block device: hostile requests")
struct HostileRequestTests {
    private let unchanged = FakeGuest.pattern(0..<64 * 512)

    @Test("sectors beyond the end, with sums that overflow", arguments: sectors)
    func beyond(sector: UInt64) throws {
        let guest = try FakeGuest()
        #expect(
            try guest.ask(0, sector, room: 1024)
                == Answer(
                    status: 1, data: [UInt8](repeating: 0xAA, count: 1024), written: 0))
        #expect(try guest.ask(1, sector, sending: [UInt8](repeating: 1, count: 1024)).status == 1)
        for type: UInt32 in [11, 13] {
            #expect(try guest.ask(type, sending: FakeGuest.range(sector, 2)).status == 1)
        }
        #expect(guest.device.counters.badRequests == 4)
        #expect(try guest.contents == unchanged)
    }

    @Test("counts of DISCARD and WRITE_ZEROES", arguments: [0, 65, 1 << 17, 1 << 21, 1 << 31, .max] as [UInt32])
    func counts(count: UInt32) throws {
        let guest = try FakeGuest()
        for type: UInt32 in [11, 13] {
            for sector: UInt64 in [0, 1, .max] {
                #expect(try guest.ask(type, sending: FakeGuest.range(sector, count)).status == 1)
            }
        }
        #expect(try guest.contents == unchanged)
    }

    @Test("flags that an operation does not have: UNSUPP, and none of its ranges is carried out")
    func flags() throws {
        let guest = try FakeGuest()
        #expect(try guest.ask(11, sending: FakeGuest.range(0, 1, flags: 1)).status == 2)
        #expect(try guest.ask(11, sending: FakeGuest.range(0, 1) + FakeGuest.range(1, 1, flags: 1 << 31)).status == 2)
        #expect(try guest.ask(13, sending: FakeGuest.range(0, 1, flags: 2)).status == 2)
        #expect(try guest.ask(11, sending: FakeGuest.range(0, 1) + FakeGuest.range(64, 1)).status == 1)
        #expect(try guest.contents == unchanged)
    }

    @Test("types that do not exist: UNSUPP", arguments: [2, 3, 5, 7, 9, 10, 12, 14, 1 << 31, .max] as [UInt32])
    func types(type: UInt32) throws {
        let guest = try FakeGuest()
        #expect(try guest.ask(type, 0, sending: [UInt8](repeating: 1, count: 512)).status == 2)
        #expect(try guest.ask(type, 0, room: 512).status == 2)
        #expect(try guest.contents == unchanged)
    }

    @Test("lengths that are no sectors", arguments: [0, 1, 511, 513, 1023] as [UInt32])
    func lengths(count: UInt32) throws {
        let guest = try FakeGuest()
        #expect(try guest.ask(0, 0, room: count).status == 1)
        #expect(try guest.ask(1, 0, sending: [UInt8](repeating: 1, count: Int(count))).status == 1)
        #expect(try guest.contents == unchanged)
    }

    @Test("lengths that are no ranges, and too many ranges")
    func ranges() throws {
        let guest = try FakeGuest()
        let range = FakeGuest.range(0, 1)
        for bytes in [[], Array(range.dropLast()), range + [0], (0..<65).flatMap { _ in range }] {
            #expect(try guest.ask(11, sending: bytes).status == 1)
        }
        for bytes in [[], range + range] { #expect(try guest.ask(13, sending: bytes).status == 1) }
        #expect(try guest.contents == unchanged)
        #expect(try guest.ask(11, sending: (0..<64).flatMap { _ in range }).status == 0)
    }

    @Test("data in the wrong direction")
    func direction() throws {
        let guest = try FakeGuest()
        let data = [UInt8](repeating: 1, count: 512)
        for type: UInt32 in [0, 1, 4, 8, 11, 13] {
            #expect(try guest.ask(type, 0, sending: data, room: 512).status == 1)
        }
        #expect(try guest.ask(4, 0, sending: [1]).status == 1)
        #expect(try guest.ask(4, 0, room: 1).status == 1)
        for room: UInt32 in [0, 19, 21] { #expect(try guest.ask(8, 0, room: room).status == 1) }
        #expect(try guest.contents == unchanged)
    }

    @Test("half a header, none, and no room for the status")
    func halves() throws {
        let guest = try FakeGuest()
        #expect(try guest.ask(Array(FakeGuest.header(0, 0).dropLast()), room: 513).status == 1)
        #expect(try guest.ask([], room: 513).status == 1)
        try guest.offer(FakeGuest.header(1, 0) + [UInt8](repeating: 1, count: 512), room: 0)
        #expect(guest.run() == .whenWoken)
        #expect(try guest.queue.takeUsed()?.written == 0)
        #expect(try guest.contents == unchanged)
        #expect(guest.device.counters.badRequests == 3)
    }

    @Test("more segments than a system call takes")
    func manySegments() throws {
        let guest = try FakeGuest(bytes: 4096 * 512)
        guest.device.reset()
        guest.queue = try DriverQueue(guest.memory, at: 0x8_0000, size: 1024)
        try guest.activate()
        try guest.memory.write(FakeGuest.header(0, 7), at: FakeGuest.headerAt)
        try guest.queue.describe(0, FakeGuest.headerAt, 16, flags: 1, next: 1)
        for index in 1...1022 as ClosedRange<UInt16> {
            try guest.queue.describe(index, 0x10_0000 + 512 * UInt64(index - 1), 512, flags: 3, next: index + 1)
        }
        try guest.queue.describe(1023, FakeGuest.statusAt, 1, flags: 2)
        try guest.queue.offer(0)
        #expect(guest.run() == .whenWoken)
        #expect(try guest.queue.takeUsed()?.written == 1022 * 512 + 1)
        #expect(try guest.memory.load(FakeGuest.statusAt, as: UInt8.self) == 0)
        #expect(try guest.memory.read(0x10_0000, count: 1022 * 512) == FakeGuest.pattern(7 * 512..<1029 * 512))
    }

    @Test("the status lies in the data, the data in the rings: a guest that spoils its own")
    func overlaps() throws {
        let guest = try FakeGuest()
        try guest.memory.write(FakeGuest.header(0, 0), at: FakeGuest.headerAt)
        try guest.queue.describe(0, FakeGuest.headerAt, 16, flags: 1, next: 1)
        try guest.queue.describe(1, guest.queue.table, 512, flags: 3, next: 2)
        try guest.queue.describe(2, FakeGuest.headerAt, 1, flags: 2)
        try guest.queue.offer(0)
        _ = guest.run()
        #expect(try guest.contents == unchanged)
    }

    @Test("a queue that breaks the rules is used no more, until the driver starts anew")
    func broken() throws {
        let guest = try FakeGuest()
        try guest.queue.describe(0, FakeGuest.headerAt, 16, flags: 1, next: 0)
        try guest.queue.offer(0)
        #expect(guest.run() == .broken(.chainTooLong))
        #expect(!guest.isActive)
        #expect(guest.run() == .whenWoken)
        guest.queue = try DriverQueue(guest.memory, at: 0x1000, size: 128)
        try guest.activate()
        #expect(try guest.ask(0, 0, room: 512).status == 0)
    }

    @Test("descriptors outside of memory, empty, in the wrong order; found while polling it is told once")
    func hostileDescriptors() throws {
        let hostile: [(UInt64, UInt32, UInt16, QueueError)] = [
            (0x20_0000, 1, 0, .outOfRange(address: 0x20_0000, count: 1)),
            (.max, 2, 0, .outOfRange(address: .max, count: 2)),
            (0, .max, 2, .outOfRange(address: 0, count: .max)),
            (0x1_0000, 0, 0, .zeroLength), (0x1_0000, 16, 7, .badIndirect),
        ]
        for (address, count, flags, error) in hostile {
            let guest = try FakeGuest()
            try guest.queue.describe(0, address, count, flags: flags)
            try guest.queue.offer(0)
            #expect(!guest.poll())
            #expect(!guest.poll())
            #expect(guest.run() == .broken(error))
            #expect(guest.run() == .whenWoken)
        }
        let guest = try FakeGuest()
        try guest.queue.setAvailableIndex(200)
        #expect(guest.run() == .broken(.availableIndexJump(from: 0, to: 200)))
    }

    @Test("queues that can't be: not activated")
    func badQueues() throws {
        let guest = try FakeGuest()
        guest.device.reset()
        for queues in [[], [nil]] as [[QueueConfiguration?]] {
            #expect(throws: QueueError.badSize(0)) {
                try guest.device.activate(DeviceSetup(memory: guest.memory, features: [.version1], queues: queues))
            }
        }
        #expect(!guest.isActive)
        #expect(!guest.poll())
    }
}

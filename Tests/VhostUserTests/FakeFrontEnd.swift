import CLinux
import GuestMemory
import LinuxSys
import Testing
import Virtio

@testable import VhostUser

/// A device with two queues that notes what is done to it.
struct NotingDevice: VirtioDevice, ~Copyable {
    final class Notes {
        var setups: [DeviceSetup] = []
        var deactivations = 0
        var resets = 0
        var kicks: [Int] = []
        var queues: [QueuePosition?] = []
        /// Times that `poll` finds something, and times that it is asked.
        var work = 0
        var polls = 0
        var runs = 0
    }

    let notes: Notes
    var active = false

    var features: VirtioFeatures { [.version1, .eventIndex] }
    var queueCount: Int { 3 }
    var requiredQueues: Int { 2 }
    var descriptor: Int32? { nil }

    func configuration(at offset: UInt32, count: UInt32) -> [UInt8]? {
        guard offset < 8, count <= 8 - offset else { return nil }
        return Array(([1, 2, 3, 4, 5, 6, 7, 8] as [UInt8])[Int(offset)..<Int(offset + count)])
    }

    mutating func setConfiguration(_ bytes: [UInt8], at offset: UInt32) -> Bool { false }

    mutating func activate(_ setup: DeviceSetup) throws(QueueError) {
        for queue in setup.queues {
            if let queue { _ = try Virtqueue(queue, memory: setup.memory, features: setup.features) }
        }
        notes.setups.append(setup)
        notes.queues = setup.queues.map { $0?.position }
        active = true
    }

    mutating func deactivate() -> [QueuePosition?] {
        active = false
        notes.deactivations += 1
        return notes.queues.map { $0.map { QueuePosition(nextAvailable: $0.nextAvailable &+ 3) } }
    }

    mutating func reset() { notes.resets += 1 }
    func save() -> UInt32 { 0 }
    mutating func restore(_ state: UInt32) {}

    mutating func queueKicked(_ index: Int) { notes.kicks.append(index) }
    mutating func descriptorReady() {}
    mutating func poll() -> Bool {
        notes.polls += 1
        guard notes.work > 0 else { return false }
        notes.work -= 1
        return true
    }

    mutating func run() -> NextRun {
        notes.runs += 1
        return .whenWoken
    }
}

/// The other end of the socket: what QEMU says, and what it should not.
final class FakeFrontEnd {
    static let memoryBytes = 1 << 16
    static let userBase: UInt64 = 0x7F00_0000_0000

    let notes = NotingDevice.Notes()
    let reports = Reports()
    var backend: Backend<NotingDevice>
    private var socket: FileDescriptor?
    let memory: FileDescriptor
    let kicks: [SharedDescriptor]
    let calls: [SharedDescriptor]

    init(polling: BusyPolling = BusyPolling(longestNanoseconds: 0)) throws {
        let pair = try Sockets.pair()
        let reports = reports
        backend = try Backend(NotingDevice(notes: notes), over: pair.first.duplicate(), polling: polling) {
            reports.lines.append($0)
        }
        socket = try pair.second.duplicate()
        memory = FileDescriptor(owning: clinux_memfd_create("guest", 1))
        _ = ftruncate(memory.raw, Self.memoryBytes)
        kicks = try (0..<2).map { _ in SharedDescriptor(try EventDescriptor().descriptor.duplicate()) }
        calls = try (0..<2).map { _ in SharedDescriptor(try EventDescriptor().descriptor.duplicate()) }
    }

    final class Reports {
        var lines: [String] = []
    }

    static func bytes(_ numbers: UInt32...) -> [UInt8] { numbers.flatMap { number in Self.little(number) } }

    static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    func write(_ bytes: [UInt8], _ files: [CInt] = []) throws {
        guard let number = socket?.raw else { throw Errno.badFileDescriptor }
        let copy = try FileDescriptor.duplicate(of: number)
        try Sockets.send(bytes, descriptors: files, over: copy)
    }

    func close() { socket = nil }

    /// One message and what the back end makes of it.
    func tell(
        _ request: UInt32, _ payload: [UInt8] = [], files: [CInt] = [], flags: UInt32 = 1, size: UInt32? = nil
    ) throws {
        try write(Self.bytes(request, flags, size ?? UInt32(payload.count)) + payload, files)
        _ = try backend.turn(atMostMilliseconds: 0)
    }

    func ask(_ request: UInt32, _ payload: [UInt8] = [], flags: UInt32 = 1) throws -> [UInt8] {
        try tell(request, payload, flags: flags)
        return try answer(to: request)
    }

    func answer(to request: UInt32) throws -> [UInt8] {
        guard let number = socket?.raw else { throw Errno.badFileDescriptor }
        let copy = try FileDescriptor.duplicate(of: number)
        let bytes = try Sockets.receiveNow(upTo: 4096, from: copy)
        try #require(bytes.count >= 12)
        #expect(Array(bytes[..<8]) == Self.bytes(request, 5))
        #expect(Array(bytes[8..<12]) == Self.bytes(UInt32(bytes.count - 12)))
        return Array(bytes[12...])
    }

    func memoryTable(
        count: UInt32 = 1, size: UInt64 = UInt64(FakeFrontEnd.memoryBytes), guest: UInt64 = 0,
        user: UInt64 = FakeFrontEnd.userBase, offset: UInt64 = 0
    ) -> [UInt8] {
        Self.bytes(count, 0) + Self.little(guest) + Self.little(size) + Self.little(user) + Self.little(offset)
    }

    func vringAddress(_ index: UInt32, _ base: UInt64) -> [UInt8] {
        Self.bytes(index, 0) + Self.little(base) + Self.little(base + 0x2000) + Self.little(base + 0x1000)
            + Self.little(UInt64(0))
    }

    /// What QEMU says until the device is active.
    func start(base: UInt32 = 0) throws {
        try tell(2, Self.little(1 << 32 | 1 << 30 | UInt64(1 << 29)))
        try tell(5, memoryTable(), files: [memory.raw])
        for index: UInt32 in 0..<2 {
            try tell(8, Self.bytes(index, 128))
            try tell(10, Self.bytes(index, base))
            try tell(9, vringAddress(index, Self.userBase + UInt64(index) * 0x4000))
            try tell(12, Self.little(UInt64(index)), files: [kicks[Int(index)].raw])
            try tell(13, Self.little(UInt64(index)), files: [calls[Int(index)].raw])
        }
        for index: UInt32 in 0..<2 { try tell(18, Self.bytes(index, 1)) }
    }

    var isActive: Bool { backend.isActive }
}

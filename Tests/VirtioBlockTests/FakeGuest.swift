import DeviceTesting
import Glibc
import GuestMemory
import LinuxSys
import Testing
import Virtio

@testable import VirtioBlock

/// What came of a request.
struct Answer: Equatable {
    /// nil: the device did not say.
    var status: UInt8?
    var data: [UInt8]
    var written: UInt32
}

/// A guest's driver around one device and its image.
final class FakeGuest {
    static let headerAt: UInt64 = 0x1_0000
    static let dataAt: UInt64 = 0x2_0000
    static let statusAt: UInt64 = 0x1_1000
    private static let unsaid: UInt8 = 0xAA

    let path: String
    let memory: GuestMemory
    var device: BlockDevice
    var queue: DriverQueue

    /// - Parameter bytes: of the image, which tell the sectors apart.
    init(bytes: Int = 64 * 512, readOnly: Bool = false, features: VirtioFeatures? = nil) throws {
        path = "/tmp/block-test-\(UInt64.random(in: 0 ... .max))"
        let file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        try file.writeAll(Self.pattern(0..<bytes))
        memory = try GuestMemory([GuestRegion(anonymous: 0x20_0000, at: 0)])
        device = try BlockDevice(
            image: FileDescriptor.open(path, readOnly ? O_RDONLY : O_RDWR), isReadOnly: readOnly, identity: "a disk")
        queue = try DriverQueue(memory, at: 0x1000, size: 128)
        try activate(features: features)
    }

    deinit { unlink(path) }

    func activate(features: VirtioFeatures? = nil, position: UInt16? = nil) throws {
        try device.activate(
            DeviceSetup(
                memory: memory, features: features ?? device.features,
                queues: [queue.configuration(position: position)]))
    }

    // `#expect` takes no member of a value that can't be copied.
    var isActive: Bool { device.isActive }
    func configuration(at offset: UInt32, count: UInt32) -> [UInt8]? { device.configuration(at: offset, count: count) }
    func run() -> NextRun { device.run() }
    func poll() -> Bool { device.poll() }
    func pause() -> [QueuePosition?] { device.deactivate() }
    func configure(_ bytes: [UInt8], at offset: UInt32) -> Bool { device.setConfiguration(bytes, at: offset) }

    static func pattern(_ range: Range<Int>) -> [UInt8] {
        range.map { UInt8(truncatingIfNeeded: $0 / 512 &* 7 &+ $0) }
    }

    var contents: [UInt8] { get throws { try File.read(path, limit: 1 << 24) } }

    static func header(_ type: UInt32, _ sector: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(type)
        writer.append(0 as UInt32)
        writer.append(sector)
        return writer.bytes
    }

    static func range(_ sector: UInt64, _ count: UInt32, flags: UInt32 = 0) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(sector)
        writer.append(count)
        writer.append(flags)
        return writer.bytes
    }

    /// A request as Linux lays it out: header, data, status.
    func ask(_ type: UInt32, _ sector: UInt64 = 0, sending: [UInt8] = [], room: UInt32 = 0) throws -> Answer {
        try ask(Self.header(type, sector) + sending, room: room + 1)
    }

    /// - Parameters:
    ///   - readable: header and data, in one descriptor.
    ///   - room: bytes that the device may write, in one descriptor; the last one is for the status.
    func ask(_ readable: [UInt8], room: UInt32) throws -> Answer {
        try offer(readable, room: room)
        #expect(run() == .whenWoken)
        return try answer(room: room)
    }

    func offer(_ readable: [UInt8], room: UInt32) throws {
        try memory.write([UInt8](repeating: Self.unsaid, count: Int(room)), at: Self.dataAt)
        try memory.write(readable, at: Self.headerAt + 0x10_0000)
        if !readable.isEmpty {
            try queue.describe(
                0, Self.headerAt + 0x10_0000, UInt32(readable.count), flags: room > 0 ? 1 : 0, next: 1)
        }
        if room > 0 { try queue.describe(1, Self.dataAt, room, flags: 2) }
        try queue.offer(readable.isEmpty ? 1 : 0)
        device.queueKicked(0)
    }

    func answer(room: UInt32) throws -> Answer {
        let used = try #require(try queue.takeUsed())
        let bytes = try memory.read(Self.dataAt, count: Int(room))
        let status = bytes.last.flatMap { $0 == Self.unsaid ? nil : $0 }
        return Answer(status: status, data: Array(bytes.dropLast()), written: used.written)
    }
}

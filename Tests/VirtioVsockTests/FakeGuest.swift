import DeviceTesting
import Glibc
import GuestMemory
import LinuxSys
import Testing
import Virtio

@testable import VirtioVsock

/// A packet that the guest received.
struct Packet {
    var header: VsockHeader
    var payload: [UInt8]

    var operation: VsockOperation? { VsockOperation(rawValue: header.operation) }
}

/// A guest's driver and the host's directory around one device, on one thread: nothing moves unless told to.
final class FakeGuest {
    static let cid: UInt64 = 42
    private static let slotBytes: UInt64 = 1 << 17
    private static let txBase: UInt64 = 0x20_0000
    private static let rxBase: UInt64 = 0x10_0000
    private static let rxSlot: UInt64 = 0x2000

    let path: String
    let memory: GuestMemory
    var device: VsockDevice
    var rx: DriverQueue
    var tx: DriverQueue
    var lastRun = NextRun.whenWoken
    var isActive: Bool { device.isActive }
    var counters: VsockCounters { device.counters }
    /// Buffers that the driver has not given back to the device.
    private(set) var heldBuffers: [UInt16] = []
    private var freeSlots: [UInt16]
    /// Bytes of payload that a receive buffer takes.
    let rxPayload: UInt32

    init(activate: Bool = true, rxPayload: UInt32 = 4096, memoryBytes: Int = 0x120_0000) throws {
        path = "/tmp/vsock-test-\(UInt64.random(in: 0 ... .max))"
        try File.makeDirectories(path, mode: 0o700)
        memory = try GuestMemory([GuestRegion(anonymous: memoryBytes, at: 0)])
        device = try VsockDevice(guestCID: Self.cid, directory: FileDescriptor.directory(path))
        rx = try DriverQueue(memory, at: 0x1000, size: 64)
        tx = try DriverQueue(memory, at: 0x4000, size: 64)
        self.rxPayload = rxPayload
        freeSlots = Array(0..<32)
        if activate { try self.activate() }
    }

    deinit {
        for name in (try? File.list(path)) ?? [] { remove(path + "/" + name) }
        remove(path)
    }

    func setup(_ rxPosition: UInt16? = nil, _ txPosition: UInt16? = nil) -> DeviceSetup {
        DeviceSetup(
            memory: memory, features: [.version1, .eventIndex],
            queues: [
                rx.configuration(position: rxPosition ?? rx.available),
                tx.configuration(position: txPosition ?? tx.available), nil,
            ])
    }

    /// The driver comes up with all its receive buffers.
    func activate(buffers: UInt16 = 32) throws {
        try device.activate(setup())
        for slot in 0..<buffers { try offerBuffer(slot) }
        step()
    }

    /// A driver that starts anew on the same rings.
    func restart() throws {
        rx = try DriverQueue(memory, at: 0x1000, size: 64)
        tx = try DriverQueue(memory, at: 0x4000, size: 64)
        freeSlots = Array(0..<32)
        heldBuffers = []
        try activate()
    }

    /// One receive buffer: a header and a payload, as Linux 6.1 has them.
    func offerBuffer(_ slot: UInt16) throws {
        let at = Self.rxBase + UInt64(slot) * Self.rxSlot
        try rx.describe(2 * slot, at, 44, flags: 3, next: 2 * slot + 1)
        try rx.describe(2 * slot + 1, at + 64, rxPayload, flags: 2)
        try rx.offer(2 * slot)
    }

    func step() {
        device.descriptorReady()
        for _ in 0..<100 {
            lastRun = device.run()
            if lastRun != .atOnce { return }
        }
        Issue.record("the device does not come to rest")
    }

    /// What has come, in order. The buffers go back at once unless they are held.
    func receive(holding: Bool = false) throws -> [Packet] {
        step()
        var packets: [Packet] = []
        while let (head, written) = try rx.takeUsed() {
            let slot = UInt16(head / 2)
            let at = Self.rxBase + UInt64(slot) * Self.rxSlot
            let header = try #require(VsockHeader(try memory.read(at, count: 44)))
            try #require(written == 44 + header.length)
            packets.append(Packet(header: header, payload: try memory.read(at + 64, count: Int(header.length))))
            if holding { heldBuffers.append(slot) } else { try offerBuffer(slot) }
        }
        return packets
    }

    func giveBack() throws {
        for slot in heldBuffers { try offerBuffer(slot) }
        heldBuffers = []
    }

    /// Whether there is room for another packet to the device.
    func canSend() throws -> Bool {
        // A ring that a test has spoilt can say anything.
        while let (head, _) = try tx.takeUsed() {
            if head < 64 { freeSlots.append(UInt16(head / 2)) }
        }
        return !freeSlots.isEmpty
    }

    /// Makes a packet available; the device sees it at the next step.
    func post(_ header: VsockHeader, _ payload: [UInt8] = [], length: UInt32? = nil) throws {
        _ = try canSend()
        guard let slot = freeSlots.popLast() else { throw Errno.busy }
        var header = header
        header.length = length ?? UInt32(payload.count)
        var bytes = [UInt8](repeating: 0, count: 44)
        header.encode(into: &bytes)
        let at = Self.txBase + UInt64(slot) * Self.slotBytes
        try memory.write(bytes, at: at)
        if payload.isEmpty {
            try tx.describe(2 * slot, at, 44)
        } else {
            try memory.write(payload, at: at + 64)
            try tx.describe(2 * slot, at, 44, flags: 1, next: 2 * slot + 1)
            try tx.describe(2 * slot + 1, at + 64, UInt32(payload.count))
        }
        try tx.offer(2 * slot)
    }

    func send(_ header: VsockHeader, _ payload: [UInt8] = [], length: UInt32? = nil) throws {
        try post(header, payload, length: length)
        step()
    }
}

/// The guest's end of a connection.
struct GuestEnd {
    var guest: UInt32
    var host: UInt32
    var window: UInt32 = 65536
    var forwarded: UInt32 = 0
    var flags: UInt32 = 0

    func packet(_ operation: VsockOperation) -> VsockHeader {
        var header = VsockHeader()
        header.sourceCID = FakeGuest.cid
        header.destinationCID = VsockHeader.hostCID
        header.sourcePort = guest
        header.destinationPort = host
        header.operation = operation.rawValue
        header.flags = flags
        header.bufferSize = window
        header.forwardCount = forwarded
        return header
    }

    func shutdown(_ flags: ShutdownFlags) -> VsockHeader {
        var header = packet(.shutdown)
        header.flags = flags.rawValue
        return header
    }
}

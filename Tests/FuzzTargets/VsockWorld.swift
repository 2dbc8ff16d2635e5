import LinuxSys
import VMMWire

/// The host's side of a vsock device: a directory with Unix sockets, and clients that say what they like.
final class VsockWorld: DeviceWorld {
    static let guestCID: UInt64 = 42
    /// Where the host listens.
    private static let hostPort: UInt32 = 1024
    private static let guestPort: UInt32 = 1025
    /// Where the device's own ports start.
    private static let firstPort: UInt32 = 1 << 30
    private static let mostClients = 12

    private let folder: ScratchFolder
    private let listener: FileDescriptor
    private var clients: [SharedDescriptor] = []

    init() throws {
        folder = try ScratchFolder()
        listener = try Sockets.listen(at: VsockSocketName.fromGuest(port: Self.hostPort), in: folder.open(), backlog: 4)
    }

    func directory() throws -> FileDescriptor { try folder.open() }

    // MARK: The guest's requests

    func request(_ input: inout Input, queue: Int) -> DeviceRequest {
        switch queue {
        case 0: DeviceRequest(readable: [], writable: input.number([4140, 4140, 108, 45, 44, 43, 1, 30000]))
        case 1: packet(&input)
        default: DeviceRequest(readable: [], writable: input.number([8, 4, 16]))
        }
    }

    /// A packet: mostly of one of a few connections, with at most one field that is not what it should be.
    private func packet(_ input: inout Input) -> DeviceRequest {
        let connection = UInt32(input.below(8))
        let isOurs = connection < 4
        let payload = input.pick([0, 0, 1, 16, 100, 1000, 4096, 20000])
        let odd = input.byte()
        var field: UInt8 = 0
        func value<T: FixedWidthInteger>(_ usual: T) -> T {
            field += 1
            return odd == field ? input.limit() : usual
        }
        var packet = Packed()
        packet.put(value(Self.guestCID))
        packet.put(value(2 as UInt64))
        packet.put(value(isOurs ? 2000 + connection : Self.guestPort))
        packet.put(value(isOurs ? Self.hostPort : Self.firstPort + connection - 4))
        packet.put(value(UInt32(payload)))
        packet.put(value(1 as UInt16))
        packet.put(value(UInt16(input.pick([1, 2, 5, 5, 5, 5, 6, 7, 3, 4] as [UInt8]))))
        packet.put(value(UInt32(input.pick([0, 1, 2, 3] as [UInt8]))))
        packet.put(value(input.pick([65536, 4096, 1, 262144] as [UInt32])))
        packet.put(value(input.pick([0, 1, 4096, 65536] as [UInt32])))
        return DeviceRequest(
            readable: packet.bytes + input.take(payload), writable: odd == 0xFF ? input.number([0, 1, 44]) : 0)
    }

    func answered(_ request: [UInt8], _ answer: [UInt8]) -> String? {
        // What came to a receive buffer.
        guard request.isEmpty, !answer.isEmpty else { return nil }
        guard answer.count >= 44 else { return "a packet of \(answer.count) bytes" }
        let length = answer[24..<28].reversed().reduce(0) { $0 << 8 | Int($1) }
        return answer.count == 44 + length ? nil : "a packet of \(answer.count) bytes with a length of \(length)"
    }

    // MARK: The host

    func act(_ input: inout Input) {
        switch input.below(12) {
        case 0, 1, 2: connect(VsockConnectRequest(port: input.number([Self.guestPort, 0, 1])).bytes)
        case 3:
            // A part of a greeting, or none.
            let count = input.below(9)
            connect(input.byte() < 128 ? Array(VsockConnectRequest(port: 7).bytes.prefix(count)) : input.take(count))
        case 4, 5: if let socket = try? Sockets.accept(listener) { keep(socket) }
        case 6, 7:
            let count = input.pick([1, 44, 4096, 65536, 300_000])
            if let client = client(&input) {
                _ = try? Sockets.sendNow([UInt8](repeating: 0x5A, count: count), from: 0, over: client.descriptor)
            }
        case 8:
            let count = input.pick([300_000, 4096, 1])
            if let client = client(&input) { _ = try? Sockets.receiveNow(upTo: count, from: client.descriptor) }
        case 9: if !clients.isEmpty { clients.remove(at: input.below(clients.count)) }
        case 10: if let client = client(&input) { try? Sockets.shutdownWriting(client.descriptor) }
        default: if let client = client(&input) { try? Sockets.shutdownReading(client.descriptor) }
        }
    }

    private func client(_ input: inout Input) -> SharedDescriptor? {
        clients.isEmpty ? nil : clients[input.below(clients.count)]
    }

    private func connect(_ greeting: [UInt8]) {
        guard let directory = try? folder.open(),
            let socket = try? Sockets.connectAtOnce(to: VsockSocketName.toGuest, in: directory)
        else { return }
        _ = try? Sockets.sendNow(greeting, from: 0, over: socket)
        keep(socket)
    }

    private func keep(_ socket: consuming FileDescriptor) {
        if clients.count == Self.mostClients { clients.removeFirst() }
        clients.append(SharedDescriptor(socket))
    }
}

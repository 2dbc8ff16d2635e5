import Glibc
import LinuxSys
import VirtioBlock

@Sendable func block(_ input: [UInt8]) -> String? {
    withoutErrors {
        var input = Input(input)
        let world = try BlockWorld(readOnly: input.byte() > 200)
        var program = RingProgram(try world.device(), world, input, try GuestSpace())
        let complaint = program.run()
        return complaint ?? world.harm()
    }
}

/// An image, what a guest asks of it, and a host that makes it shorter.
final class BlockWorld: DeviceWorld {
    static let identity = "a fuzzer's disk"
    private static let sectors = 64
    /// Behind the last whole sector: no part of the disk.
    private static let rest = 100

    private let folder: ScratchFolder
    private let readOnly: Bool
    private var isShortened = false
    private var path: String { folder.path + "/image" }

    init(readOnly: Bool) throws {
        folder = try ScratchFolder()
        self.readOnly = readOnly
        try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600).writeAll(Self.contents)
    }

    private static let contents = (0..<sectors * 512 + rest).map { UInt8(truncatingIfNeeded: $0 / 512 &+ $0 | 1) }

    func device() throws(Errno) -> BlockDevice {
        let image = try FileDescriptor.open(path, readOnly ? O_RDONLY : O_RDWR)
        return try BlockDevice(image: image, isReadOnly: readOnly, identity: Self.identity)
    }

    /// - Returns: what happened to the file that no guest may do, if anything did.
    func harm() -> String? {
        guard let now = try? File.read(path, limit: 1 << 20) else { return "the image can't be read" }
        if now.count > Self.contents.count { return "the image has grown to \(now.count) bytes" }
        if isShortened { return nil }
        if now.count < Self.contents.count { return "the image has \(now.count) bytes" }
        if now.suffix(Self.rest) != Self.contents.suffix(Self.rest) { return "what lies behind the disk was changed" }
        return readOnly && now != Self.contents ? "a read-only image was changed" : nil
    }

    // MARK: The guest's requests

    /// At most one field is not what it should be.
    func request(_ input: inout Input, queue: Int) -> DeviceRequest {
        let type: UInt32 = input.pick([0, 0, 1, 1, 4, 8, 11, 13])
        let odd = input.byte()
        let sectors = input.pick([1, 1, 2, 8, 16])
        let sector = UInt64(input.below(Self.sectors))
        var packed = Packed()
        packed.put(odd == 1 ? input.limit() : type)
        packed.put(odd == 2 ? input.limit() : 0 as UInt32)
        packed.put(odd == 3 ? input.limit() : sector)
        var room: UInt32 = 1
        switch type {
        case 0: room = UInt32(sectors) * 512 + 1
        case 1: packed.bytes += input.take(sectors * 512)
        case 8: room = 21
        case 11, 13:
            for number in 0..<(type == 11 ? input.pick([1, 1, 2, 65]) : 1) {
                packed.put(odd == 4 ? input.limit() : UInt64((Int(sector) + number) % Self.sectors))
                packed.put(odd == 5 ? input.limit() : input.pick([1, 2, 8] as [UInt32]))
                packed.put(odd == 6 ? input.limit() : type == 13 ? UInt32(input.byte() & 1) : 0)
            }
        default: break
        }
        if odd == 7 { packed.bytes.removeLast() }
        if odd == 8 { room = input.limit() }
        if odd == 9 { packed.bytes.append(0) }
        return DeviceRequest(readable: packed.bytes, writable: min(room, 30000))
    }

    /// All that lies in front of the status is there, or nothing is.
    func answered(_ request: [UInt8], _ answer: [UInt8]) -> String? {
        guard request.count >= 16, answer.count > 1, let status = answer.last else { return nil }
        let type = request[..<4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        switch type {
        case 0 where status == 0 && (answer.count - 1) % 512 != 0: return "a read of \(answer.count - 1) bytes"
        case 8 where status == 0 && !answer.starts(with: Self.identity.utf8): return "another identity"
        case 0, 8: return status <= 2 ? nil : "status \(status)"
        default: return "\(answer.count) bytes for a request of type \(type)"
        }
    }

    // MARK: The host

    func act(_ input: inout Input) {
        let size = input.pick([0, 511, 512, 20_000, Self.contents.count] as [Int])
        guard !readOnly, size < Self.contents.count, input.byte() > 128 else { return }
        isShortened = true
        truncate(path, off_t(size))
    }
}

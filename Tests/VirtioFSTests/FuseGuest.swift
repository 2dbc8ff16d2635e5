import DeviceTesting
import FileCalls
import Glibc
import GuestMemory
import LinuxSys
import Testing
import Virtio

@testable import VirtioFS

/// The answer to a request.
struct Answer {
    var error: CInt
    var bytes: [UInt8]

    func number<T: FixedWidthInteger>(_ offset: Int, _: T.Type = T.self) throws -> T {
        var reader = ByteReader(bytes, in: offset..<bytes.count)
        return try reader.number()
    }
}

/// What LOOKUP and its like tell.
struct Entry {
    var node: UInt64
    var inode: UInt64
    var size: UInt64
    var mode: UInt32
    var links: UInt32
    var uid: UInt32
    var flags: UInt32

    init(_ answer: Answer, at offset: Int = 0) throws {
        node = try answer.number(offset)
        inode = try answer.number(offset + 40)
        size = try answer.number(offset + 48)
        mode = try answer.number(offset + 100)
        links = try answer.number(offset + 104)
        uid = try answer.number(offset + 108)
        flags = try answer.number(offset + 124)
    }
}

/// A guest's FUSE client around one device and a directory of the host, on one thread: nothing moves unless told to.
final class FuseGuest {
    static let requestAt: UInt64 = 0x10_0000
    static let answerAt: UInt64 = 0x40_0000
    /// Bytes that are not the answer's to write.
    static let canary: UInt8 = 0xA5

    /// The tree "data" is here.
    let path: String
    let memory: GuestMemory
    var device: FileSystemDevice
    let high: DriverQueue
    let requests: DriverQueue
    var unique: UInt64 = 1
    var lastRun = NextRun.whenWoken
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    /// 1 is the guest's agent.
    var pid: UInt32 = 7

    init(
        limits: FileSystemLimits = FileSystemLimits(descriptors: 2048, guestMemoryMiB: 128), readOnly: Bool = false,
        cache: CachePolicy = .auto, sharesLocks: Bool = false, initialize: Bool = true
    ) throws {
        // As the process that serves files has it.
        try FileServerJail.prepare()
        path = "/tmp/virtio-fs-test-\(UInt64.random(in: 0 ... .max))"
        try File.makeDirectories(path + "/data", mode: 0o755)
        memory = try GuestMemory([GuestRegion(anonymous: 0x80_0000, at: 0)])
        device = try FileSystemDevice(
            tag: "test", limits: limits, sharesLocks: sharesLocks, gathersWrites: cache == .always)
        high = try DriverQueue(memory, at: 0x1000, size: 16)
        requests = try DriverQueue(memory, at: 0x4000, size: 64)
        try device.trees.add(
            SharedTree(
                name: try #require(FileName("data")),
                root: SharedDescriptor(FileDescriptor.reference(path + "/data")), readOnly: readOnly, cache: cache))
        try device.activate(setup())
        if initialize { _ = try self.initialize() }
    }

    deinit {
        device.reset()
        // Whatever a test made, symlinks not followed.
        system("rm -rf --one-file-system \(path)")
    }

    func setup() -> DeviceSetup {
        DeviceSetup(
            memory: memory, features: [.version1, .eventIndex, .indirectDescriptors],
            queues: [
                high.configuration(position: high.available), requests.configuration(position: requests.available),
            ])
    }

    // MARK: Requests

    static func bytes<T: FixedWidthInteger>(_ numbers: [T]) -> [UInt8] {
        var writer = ByteWriter()
        for number in numbers { writer.append(number) }
        return writer.bytes
    }

    func header(_ opcode: Opcode, _ node: UInt64, length: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(UInt32(length))
        writer.append(opcode.rawValue)
        writer.append(unique)
        writer.append(node)
        writer.append(uid)
        writer.append(gid)
        writer.append(pid)
        writer.append(UInt32(0))
        return writer.bytes
    }

    /// Puts a request into the queue; its descriptors are 4n to 4n + 3.
    func post(_ opcode: Opcode, _ node: UInt64, _ body: [UInt8], room: UInt32 = 8192, slot: UInt16 = 0) throws {
        let request = header(opcode, node, length: 40 + body.count) + body
        unique += 1
        let at = Self.requestAt + UInt64(slot) * 0x2_0000
        let answer = Self.answerAt + UInt64(slot) * 0x2_0000
        try memory.write(request, at: at)
        try memory.write([UInt8](repeating: Self.canary, count: Int(room) + 64), at: answer)
        let head = slot * 4
        try requests.describe(head, at, 40, flags: 1, next: head + 1)
        if body.isEmpty {
            try requests.describe(head, at, 40, flags: 1, next: head + 2)
        } else {
            try requests.describe(head + 1, at + 40, UInt32(body.count), flags: 1, next: head + 2)
        }
        if room > 0 {
            try requests.describe(head + 2, answer, room, flags: 2)
        } else {
            try requests.describe(head + 1, at + 40, UInt32(max(body.count, 1)))
        }
        try requests.offer(head)
    }

    func run() { lastRun = device.run() }

    /// Runs the device until it gives a request back, whatever is in it.
    func waitForUsed() throws -> (head: UInt32, written: UInt32) {
        for _ in 0..<1000 {
            run()
            if let used = try requests.takeUsed() { return used }
            usleep(1000)
        }
        return try #require(nil, "nothing was given back within a second")
    }

    /// The next answer that came, if one did.
    func take(room: UInt32 = 8192) throws -> (slot: UInt16, answer: Answer)? {
        guard let used = try requests.takeUsed() else { return nil }
        let slot = UInt16(used.head) / 4
        let at = Self.answerAt + UInt64(slot) * 0x2_0000
        let behind = try memory.read(at + UInt64(room), count: 64)
        #expect(behind.allSatisfy { $0 == Self.canary }, "the answer is longer than its room")
        guard used.written >= 16 else { return (slot, Answer(error: 0, bytes: [])) }
        let length: UInt32 = try memory.load(at)
        #expect(length == used.written)
        let error: Int32 = try memory.load(at + 4)
        let bytes = try memory.read(at + 16, count: Int(used.written) - 16)
        return (slot, Answer(error: -error, bytes: bytes))
    }

    /// One request and its answer.
    func call(_ opcode: Opcode, _ node: UInt64, _ body: [UInt8] = [], room: UInt32 = 8192) throws -> Answer {
        try post(opcode, node, body, room: room)
        return try wait(room: room).answer
    }

    /// Runs the device until an answer comes: on a busy machine another thread may have taken over.
    func wait(room: UInt32 = 8192) throws -> (slot: UInt16, answer: Answer) {
        for _ in 0..<1000 {
            run()
            if let taken = try take(room: room) { return taken }
            usleep(1000)
        }
        return try #require(nil, "no answer within a second")
    }

    /// The same, and it has to succeed.
    func done(
        _ opcode: Opcode, _ node: UInt64, _ body: [UInt8] = [], room: UInt32 = 8192,
        at location: SourceLocation = #_sourceLocation
    ) throws -> Answer {
        let answer = try call(opcode, node, body, room: room)
        try #require(answer.error == 0, "\(opcode): \(Errno(rawValue: answer.error))", sourceLocation: location)
        return answer
    }
}

/// Requests, by what they do.
extension FuseGuest {
    static func text(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    @discardableResult
    func initialize(flags: UInt64 = UInt64.max) throws -> Answer {
        try done(
            .initialize, 0,
            Self.bytes([
                UInt32(7), 38, 65536, UInt32(truncatingIfNeeded: flags), UInt32(truncatingIfNeeded: flags >> 32),
            ]) + [UInt8](repeating: 0, count: 44))
    }

    func lookup(_ name: String, in node: UInt64) throws -> Entry { try Entry(done(.lookup, node, Self.text(name))) }

    /// The root of the tree.
    func root() throws -> UInt64 { try lookup("data", in: 1).node }

    func makeDirectory(_ name: String, in node: UInt64, mode: UInt32 = 0o755) throws -> Entry {
        try Entry(done(.makeDirectory, node, Self.bytes([mode, 0]) + Self.text(name)))
    }

    /// - Returns: the inode, and the number of the open file.
    func create(_ name: String, in node: UInt64, flags: CInt = O_RDWR, mode: UInt32 = 0o644, umask: UInt32 = 0) throws
        -> (entry: Entry, handle: UInt64)
    {
        let answer = try done(
            .create, node, Self.bytes([UInt32(bitPattern: flags | O_CREAT), mode, umask, 0]) + Self.text(name))
        return (try Entry(answer), try answer.number(128))
    }

    func open(_ node: UInt64, _ flags: CInt = O_RDWR) throws -> UInt64 {
        try done(.open, node, Self.bytes([UInt32(bitPattern: flags), 0])).number(0)
    }

    func write(_ handle: UInt64, _ node: UInt64, at offset: UInt64, _ bytes: [UInt8], flags: CInt = 0) throws -> Int {
        let body =
            Self.bytes([handle, offset]) + Self.bytes([UInt32(bytes.count), 0])
            + Self.bytes([UInt64(0)]) + Self.bytes([UInt32(bitPattern: flags), 0]) + bytes
        return Int(try done(.write, node, body).number(0, UInt32.self))
    }

    func read(_ handle: UInt64, _ node: UInt64, at offset: UInt64, _ count: UInt32) throws -> [UInt8] {
        try done(
            .read, node,
            Self.bytes([handle, offset]) + Self.bytes([count, 0]) + Self.bytes([UInt64(0)])
                + Self.bytes([UInt32(0), 0]),
            room: count + 16
        ).bytes
    }

    func release(_ handle: UInt64, _ node: UInt64) throws {
        _ = try done(.release, node, Self.bytes([handle]) + Self.bytes([UInt32(0), 0]) + Self.bytes([UInt64(0)]))
    }

    func forget(_ node: UInt64, _ lookups: UInt64 = 1) throws {
        try post(.forget, node, Self.bytes([lookups]), room: 0)
        _ = try wait(room: 0)
    }

    func rename(_ old: String, in node: UInt64, to new: String, in newNode: UInt64, flags: UInt32 = 0) throws -> Answer
    {
        try call(
            .rename2, node, Self.bytes([newNode]) + Self.bytes([flags, 0]) + Self.text(old) + Self.text(new))
    }

    func attributes(_ node: UInt64) throws -> Answer {
        try call(.getAttributes, node, Self.bytes([UInt32(0), 0]) + Self.bytes([UInt64(0)]))
    }

    /// SETATTR of what `valid` (FATTR_…) names.
    func setAttributes(
        _ node: UInt64, valid: UInt32, size: UInt64 = 0, mode: UInt32 = 0, uid: UInt32 = 0, gid: UInt32 = 0
    ) throws -> Answer {
        try call(
            .setAttributes, node,
            Self.bytes([valid, 0]) + Self.bytes([UInt64(0), size, 0, 0, 0, 0])
                + Self.bytes([UInt32(0), 0, 0, mode, 0, uid, gid, 0]))
    }

    /// All names in a directory, read with answers of `size` bytes.
    func names(in node: UInt64, size: UInt32 = 4096, plus: Bool = false, between: () throws -> Void = {}) throws
        -> [String]
    {
        let handle: UInt64 = try done(.openDirectory, node, Self.bytes([UInt32(0), 0])).number(0)
        var names: [String] = []
        var offset: UInt64 = 0
        while true {
            let answer = try done(
                plus ? .readDirectoryPlus : .readDirectory, node,
                Self.bytes([handle, offset]) + Self.bytes([size, 0]) + Self.bytes([UInt64(0)])
                    + Self.bytes([UInt32(0), 0]), room: size + 16)
            if answer.bytes.isEmpty { break }
            var at = 0
            while at < answer.bytes.count {
                let start = at + (plus ? 128 : 0)
                let length = Int(try answer.number(start + 16, UInt32.self))
                offset = try answer.number(start + 8)
                names.append(String(decoding: answer.bytes[(start + 24)..<(start + 24 + length)], as: UTF8.self))
                at = start + (24 + length + 7) & ~7
            }
            try between()
        }
        _ = try done(.releaseDirectory, node, Self.bytes([handle]) + Self.bytes([UInt64(0), 0]))
        return names
    }

    // MARK: The host's side

    func host(_ name: String) -> String { path + "/data/" + name }

    func hostWrite(_ name: String, _ text: String) throws {
        try FileDescriptor.open(host(name), O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).writeAll(Array(text.utf8))
    }

    func hostRead(_ name: String) throws -> String {
        String(decoding: try File.read(host(name), limit: 1 << 20), as: UTF8.self)
    }
}

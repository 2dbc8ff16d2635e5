import GuestMemory
import LinuxSys
import VhostUser
import Virtio
import VirtioVsock

/// A back end with a vsock device, and a front end that says what it likes over the socket, with what descriptors it
/// likes.
@Sendable func vhostUser(_ input: [UInt8]) -> String? {
    withoutErrors {
        let world = try VsockWorld()
        let device = try VsockDevice(guestCID: VsockWorld.guestCID, directory: world.directory())
        var program = try FrontEndProgram(device, world, Input(input))
        return program.run()
    }
}

struct FrontEndProgram: ~Copyable {
    private static let memoryBytes = 1 << 16
    private static let userBase: UInt64 = 0x7F00_0000_0000
    private static let queueBytes: UInt64 = 0x4000
    /// Turns that one message may cost.
    private static let mostTurns = 40

    private var backend: Backend<VsockDevice>
    private let world: VsockWorld
    private var input: Input
    private let socket: FileDescriptor
    /// The guest's memory, as the front end has it.
    private let memory: GuestMemory
    private let files: Files
    private var available: [UInt16] = [0, 0, 0]

    init(_ device: consuming VsockDevice, _ world: VsockWorld, _ input: Input) throws {
        let pair = try Sockets.pair()
        let files = try Files(memoryBytes: Self.memoryBytes)
        let region = try GuestRegion(
            guestAddress: 0, userAddress: 0, count: UInt64(Self.memoryBytes), offset: 0,
            sharing: files.memory.descriptor)
        let memory = try GuestMemory([region])
        let socket = try pair.second.duplicate()
        self.init(try Backend(device, over: pair.first.duplicate()) { _ in }, world, input, socket, memory, files)
    }

    private init(
        _ backend: consuming Backend<VsockDevice>, _ world: VsockWorld, _ input: Input,
        _ socket: consuming FileDescriptor, _ memory: GuestMemory, _ files: Files
    ) {
        self.backend = backend
        self.world = world
        self.input = input
        self.socket = socket
        self.memory = memory
        self.files = files
    }

    mutating func run() -> String? {
        if input.byte() & 3 != 0, !start() { return nil }
        while !input.isEmpty {
            let (goesOn, complaint) = step()
            if let complaint { return complaint }
            if !goesOn { return nil }
        }
        return nil
    }

    // MARK: What is said

    /// - Returns: whether the back end still listens, and what it did wrong.
    private mutating func step() -> (Bool, String?) {
        switch input.below(12) {
        case 0...3: return usualMessage()
        case 4:
            let request: UInt32 = input.number([1, 2, 5, 9, 24])
            return tell(request, input.take(input.pick([8, 0, 12, 20, 40])), files: someFiles())
        case 5: return brokenMessage()
        case 6: return (start(), nil)
        case 7: world.act(&input)
        case 8, 9: offer()
        case 10: signal(input.below(3))
        default: return listen()
        }
        return (true, nil)
    }

    /// What QEMU says until the device is active.
    private mutating func start() -> Bool {
        var goesOn = tell(2, numbers(1 << 32 | 1 << 30 | UInt64(1 << 29))).0
        goesOn = goesOn && tell(5, table(), files: [files.memory]).0
        for index: UInt32 in 0..<2 {
            goesOn = goesOn && tell(8, small(index, 64)).0
            goesOn = goesOn && tell(10, small(index, UInt32(available[Int(index)]))).0
            goesOn = goesOn && tell(9, address(index, Self.userBase + UInt64(index) * Self.queueBytes)).0
            goesOn = goesOn && tell(12, numbers(UInt64(index)), files: [files.kicks[Int(index)]]).0
            goesOn = goesOn && tell(18, small(index, 1)).0
        }
        return goesOn
    }

    /// A message that QEMU could send, but for a number or a descriptor.
    private mutating func usualMessage() -> (Bool, String?) {
        let queue: UInt32 = input.number([0, 1, 2])
        let request = input.pick([1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 25, 34] as [UInt32])
        switch request {
        case 2, 16: return tell(request, numbers(input.number([1 << 32, 1 << 30, 0x60000000, 9, 0x2209])))
        case 5: return hostileTable()
        case 8: return tell(request, small(queue, input.number([64, 16, 1, 3, 1024, 2048])))
        case 9:
            let base = Self.userBase &+ input.number([0, 0x4000, 0xF000, 0xFFF0, 0x10000])
            return tell(request, address(queue, base, flags: input.number([0, 0, 0, 1])))
        case 10: return tell(request, small(queue, input.number([0, 1, 64, 0xFFFF])))
        case 11, 18: return tell(request, small(queue, input.number([0, 1])))
        case 12, 13, 14:
            let hasNone = input.byte() < 64
            return tell(
                request, numbers(UInt64(queue) | (hasNone ? 0x100 : 0)),
                files: hasNone ? [] : [input.byte() < 128 ? files.kicks[Int(queue % 3)] : files.any(&input)])
        case 24, 25:
            let size: UInt32 = input.number([8, 4, 0, 256])
            let contents = input.take(Int(min(size, 300)))
            return tell(request, small(input.number([0, 4, 8]), size) + [0, 0, 0, 0] + contents)
        default: return tell(request, [])
        }
    }

    private mutating func hostileTable() -> (Bool, String?) {
        let count: UInt32 = input.number([1, 2, 8])
        var payload = small(count, 0)
        var attached: [SharedDescriptor] = []
        for region in 0..<UInt64(min(count, 9)) {
            let base = region * 0x1000
            for usual in [base, 0x1000, Self.userBase + base, base] {
                payload += numbers(input.number([usual, usual, usual, usual, 0, 0x10000]))
            }
            attached.append(input.byte() < 224 ? files.memory : files.any(&input))
        }
        return tell(5, payload, files: attached)
    }

    /// The header says more than there is, and then the front end is gone.
    private mutating func brokenMessage() -> (Bool, String?) {
        let payload = input.take(input.below(20))
        let size: UInt32 = input.limit()
        let bytes = small(input.number([1, 2, 5, 8]), input.number([1, 9])) + Array(numbers(UInt64(size)).prefix(4))
        send(Array((bytes + payload).prefix(input.pick([64, 11, 12, 13, 1]))), someFiles())
        try? Sockets.shutdownWriting(socket)
        while true {
            let (goesOn, complaint) = listen()
            if !goesOn || complaint != nil { return (false, complaint) }
        }
    }

    private mutating func someFiles() -> [SharedDescriptor] {
        let count = input.byte()
        return count < 160 ? [] : (0..<(count < 224 ? 1 : Int(count & 15))).map { _ in files.any(&input) }
    }

    private mutating func tell(
        _ request: UInt32, _ payload: [UInt8], files: [SharedDescriptor] = []
    ) -> (Bool, String?) {
        let flags: UInt32 = input.byte() & 1 == 0 ? 1 : 9
        send(small(request, flags) + Array(numbers(UInt64(payload.count)).prefix(4)) + payload, files)
        return listen()
    }

    private func send(_ bytes: [UInt8], _ files: [SharedDescriptor]) {
        _ = try? Sockets.send(bytes, descriptors: files.map(\.raw), over: socket)
    }

    // MARK: What comes back

    /// The back end's turns until it waits, and its replies.
    private mutating func listen() -> (Bool, String?) {
        for _ in 0..<Self.mostTurns {
            do throws(VhostUserError) {
                guard try backend.turn(atMostMilliseconds: 0) else { return (false, nil) }
            } catch {
                return (false, error.description.isEmpty ? "an error without a text" : nil)
            }
            let reply = (try? Sockets.receiveNow(upTo: 8192, from: socket)) ?? []
            if reply.isEmpty { return (true, nil) }
            guard reply.count >= 12, reply[4] == 5, reply.count == 12 + Int(reply[8]) + Int(reply[9]) << 8 else {
                return (false, "no reply: \(reply)")
            }
        }
        return (true, nil)
    }

    private func signal(_ queue: Int) {
        if let copy = try? files.kicks[queue].descriptor.duplicate() { try? EventDescriptor(adopting: copy).signal() }
    }

    /// The guest's driver, if the queues are where `start` puts them.
    private mutating func offer() {
        let queue = input.below(2)
        let base = UInt64(queue) * Self.queueBytes
        let index = available[queue] & 63
        let request = world.request(&input, queue: queue)
        let buffer = 0x8000 + UInt64(index) * 0x100
        let count = queue == 0 ? min(request.writable, 0x200) : UInt32(min(request.readable.count, 0x100))
        try? memory.write(Array(request.readable.prefix(0x100)), at: buffer)
        let descriptor = DriverRing.descriptor(buffer, count, flags: queue == 0 ? 2 : 0, next: input.number([0]))
        try? memory.write(descriptor, at: base + 16 * UInt64(index))
        try? memory.store(index, at: base + 0x1004 + 2 * UInt64(index))
        available[queue] &+= 1
        try? memory.store(available[queue], at: base + 0x1002)
        signal(queue)
    }

    // MARK: Payloads

    private func small(_ first: UInt32, _ second: UInt32) -> [UInt8] {
        var packed = Packed()
        packed.put(first)
        packed.put(second)
        return packed.bytes
    }

    private func numbers(_ numbers: UInt64...) -> [UInt8] {
        var packed = Packed()
        for number in numbers { packed.put(number) }
        return packed.bytes
    }

    private func table() -> [UInt8] { small(1, 0) + numbers(0, UInt64(Self.memoryBytes), Self.userBase, 0) }

    private func address(_ index: UInt32, _ base: UInt64, flags: UInt32 = 0) -> [UInt8] {
        small(index, flags) + numbers(base, base &+ 0x2000, base &+ 0x1000, 0)
    }
}

import GuestMemory
import Virtio

/// What is around a device: what its driver would ask for, and what happens on the host.
protocol DeviceWorld: AnyObject {
    /// A request as the device's driver makes it, some of its fields at their limits.
    func request(_ input: inout Input, queue: Int) -> DeviceRequest
    /// The device gave a buffer back, with so much in it.
    /// - Returns: what is wrong with the answer, if anything.
    func answered(_ request: [UInt8], _ answer: [UInt8]) -> String?
    /// Something happens on the host.
    func act(_ input: inout Input)
}

struct DeviceRequest {
    var readable: [UInt8]
    /// Bytes for the answer.
    var writable: UInt32
}

/// A request that was made available.
struct Asked {
    var request: [UInt8]
    var answer: [GuestSegment]
    /// Descriptors from its head on.
    var entries: UInt32
}

/// A hostile driver of any device: the input is its program. It sets up queues, fills them with chains of every shape,
/// kicks, lets the device run, pauses and resets it; after each run memory and used rings are held against `QueueModel`.
struct RingProgram<Device: VirtioDevice & ~Copyable>: ~Copyable {
    /// More queues than this a device is not given.
    static var mostQueues: Int { 4 }
    /// `atOnce` so often without an end is a hang. A device does a good part of a ring at a turn.
    private static var mostTurns: Int { 300 }

    var device: Device
    let world: any DeviceWorld
    let space: GuestSpace
    var input: Input
    var rings: [DriverRing] = []
    var models: [QueueModel?] = []
    var features: VirtioFeatures = []
    var isActive = false
    /// The rings are where nobody should have them.
    var isDistorted = false
    /// The driver's requests, by queue and head.
    var asked: [[UInt16: Asked]] = []
    /// Where the next buffer goes.
    var arena: UInt64 = 0

    init(_ device: consuming Device, _ world: any DeviceWorld, _ input: Input, _ space: GuestSpace) {
        self.device = device
        self.world = world
        self.input = input
        self.space = space
    }

    /// - Returns: what the device did wrong, if anything.
    mutating func run() -> String? {
        setUp()
        if let complaint = activate() { return complaint }
        while !input.isEmpty {
            if let complaint = step() { return complaint }
        }
        return settle() ?? stop() ?? reset()
    }

    private mutating func step() -> String? {
        switch input.below(24) {
        case 0...6:
            ask(queue: queue())
            // Most requests are seen alone, some in company.
            return input.byte() & 1 == 0 ? settle() : nil
        case 7...9: world.act(&input)
        case 10...12: return settle()
        case 13: describeAnything()
        case 14: rings[queue()].offer(input.number([0, 1, 2, 7]), space)
        case 15: spoil()
        case 16: poke()
        case 17: device.queueKicked(queue())
        case 18: return configuration()
        case 19: return pause()
        case 20: return reset() ?? restart()
        case 21: return stop() ?? restart()
        default: for queue in rings.indices { ask(queue: queue) }
        }
        return nil
    }

    private mutating func poke() {
        forgetAnswers()
        space.write(input.take(input.pick([1, 2, 4, 8, 16, 64])), at: address())
    }

    private mutating func queue() -> Int { input.below(max(rings.count, 1)) }

    private mutating func address() -> UInt64 {
        input.byte() < 96 ? rings[queue()].configuration.descriptorTable &+ UInt64(input.raw(UInt16.self)) : anywhere()
    }

    private mutating func anywhere() -> UInt64 {
        let ring = rings[queue()].configuration
        let usual = [
            ring.descriptorTable, ring.availableRing, ring.usedRing, GuestSpace.buffers, GuestSpace.buffers + 0x800,
        ]
        return input.number(input.byte() < 128 ? usual : GuestSpace.addresses)
    }

    // MARK: What a driver writes

    /// A request in a chain of some shape.
    private mutating func ask(queue: Int) {
        guard rings[queue].hasRoom(space) || input.byte() > 240 else { return }
        let request = world.request(&input, queue: queue)
        let shape = input.byte()
        var segments = place(request.readable, parts: 1 + Int(shape & 3))
        let writable = shape & 0x40 == 0 ? request.writable : input.number([request.writable, 0, 1, 16])
        segments += place(writable, parts: 1 + Int(shape >> 2 & 3))
        if segments.isEmpty { return }
        let isSpoilt = shape > 0xF0
        if isSpoilt { spoil(&segments) }
        let head =
            if shape & 0x20 != 0, features.contains(.indirectDescriptors) {
                rings[queue].describe(segments, tableAt: buffer(UInt64(16 * segments.count)), space)
            } else {
                rings[queue].describe(segments, space)
            }
        rings[queue].offer(head, space)
        remember(request, segments, head, queue)
        if isSpoilt || isDistorted { asked[queue][head] = nil }
    }

    private mutating func remember(
        _ request: DeviceRequest, _ segments: [(address: UInt64, count: UInt32, isWritable: Bool)], _ head: UInt16,
        _ queue: Int
    ) {
        let size = rings[queue].configuration.size
        let answer = segments.filter(\.isWritable).map { GuestSegment(address: $0.address, count: $0.count) }
        let entries = UInt32(segments.count)
        // Whose descriptors were written over is another request now.
        asked[queue] = asked[queue].filter { other, one in
            (UInt32(other) &- UInt32(head)) & (size &- 1) >= entries
                && (UInt32(head) &- UInt32(other)) & (size &- 1) >= one.entries
        }
        if entries <= size { asked[queue][head] = Asked(request: request.readable, answer: answer, entries: entries) }
    }

    private mutating func place(
        _ bytes: [UInt8], parts: Int
    ) -> [(address: UInt64, count: UInt32, isWritable: Bool)] {
        if bytes.isEmpty { return [] }
        let address = buffer(UInt64(bytes.count))
        space.write(bytes, at: address)
        return split(address, UInt32(bytes.count), parts).map { ($0.address, $0.count, false) }
    }

    private mutating func place(
        _ count: UInt32, parts: Int
    ) -> [(address: UInt64, count: UInt32, isWritable: Bool)] {
        if count == 0 { return [] }
        return split(buffer(UInt64(count)), count, parts).map { ($0.address, $0.count, true) }
    }

    private mutating func split(_ address: UInt64, _ count: UInt32, _ parts: Int) -> [GuestSegment] {
        var result: [GuestSegment] = []
        var at: UInt32 = 0
        for part in 0..<parts where at < count {
            let size = part == parts - 1 ? count - at : min(1 + UInt32(input.byte()), count - at)
            result.append(GuestSegment(address: address &+ UInt64(at), count: size))
            at += size
        }
        return result
    }

    /// The next place for `count` bytes, or somewhere near if there are not so many.
    private mutating func buffer(_ count: UInt64) -> UInt64 {
        let room = UInt64(GuestSpace.bufferBytes)
        if arena + count > room { arena = 0 }
        defer { arena = (arena + count + 15) & ~15 }
        let place = GuestSegment(address: GuestSpace.buffers + arena, count: UInt32(clamping: count))
        forgetAnswers(in: place)
        return place.address
    }

    /// The driver does not know any more what it asked for.
    private mutating func forgetAnswers() { asked = rings.map { _ in [:] } }

    /// What will be there when a buffer comes back says nothing any more.
    private mutating func forgetAnswers(in place: GuestSegment) {
        for queue in asked.indices {
            asked[queue] = asked[queue].filter { !$0.value.answer.contains { QueueModel.overlap($0, place) } }
        }
    }

    private mutating func spoil(_ segments: inout [(address: UInt64, count: UInt32, isWritable: Bool)]) {
        let index = input.below(segments.count)
        switch input.below(5) {
        case 0: segments[index].address = anywhere()
        case 1: segments[index].count = input.limit()
        case 2: segments[index].isWritable.toggle()
        case 3: segments.reverse()
        default: segments += segments
        }
    }

    private mutating func describeAnything() {
        forgetAnswers()
        let ring = rings[queue()]
        ring.describe(
            input.number([0, 1, 2, 7]), anywhere(), input.number([1, 16, 44, 4096]),
            flags: input.number([0, 1, 2, 3, 4, 5, 7]), next: input.number([0, 1, 2, 7]), space)
    }

    /// The parts of the rings that each side may write at any time.
    private mutating func spoil() {
        let queue = queue()
        let ring = rings[queue].configuration
        let entry = 2 * UInt64(ring.size)
        switch input.below(4) {
        case 0:
            let index = rings[queue].availableIndex &+ input.limit(UInt16.self)
            rings[queue].availableIndex = index
            space.store(index, at: ring.availableRing &+ 2)
        case 1: space.store(input.number([0, 1] as [UInt16]), at: ring.availableRing)
        case 2: space.store(input.number([0, 1, 2] as [UInt16]), at: ring.availableRing &+ 4 &+ entry)
        // The driver has no business there.
        default: space.store(input.limit(UInt16.self), at: ring.usedRing &+ 2)
        }
    }

    private mutating func configuration() -> String? {
        let offset: UInt32 = input.number([0, 1, 7, 8])
        let count: UInt32 = input.number([0, 1, 4, 8, 36])
        if let bytes = device.configuration(at: offset, count: count), bytes.count != Int(count) {
            return "\(bytes.count) bytes of configuration for \(count)"
        }
        _ = device.setConfiguration(input.take(Int(min(count, 64))), at: offset)
        return nil
    }

    // MARK: The device's turn

    /// Lets the device run until it waits.
    mutating func settle() -> String? {
        look()
        let how = input.byte()
        if how & 3 != 3 { device.descriptorReady() }
        for queue in rings.indices { device.queueKicked(queue) }
        // As a transport does that looks by itself for a while.
        if how & 4 != 0 { for _ in 0...(how >> 4) { _ = device.poll() } }
        var turns = 0
        while true {
            let next = device.run()
            if case .broken = next {
                isActive = false
                break
            }
            if next != .atOnce { break }
            turns += 1
            // A queue that writes on itself can be an endless one; then each turn has to end, and no more.
            if turns == Self.mostTurns {
                if isTangled { break }
                return "the device does not come to rest"
            }
        }
        return judge()
    }

    private mutating func pause() -> String? {
        var old = models
        let (positions, complaint) = deactivate(&old)
        if let complaint { return complaint }
        guard let positions else { return nil }
        if device.save() != device.save() { return "the state is another one when it is saved again" }
        for (queue, position) in zip(rings.indices, positions) {
            if let position { rings[queue].configuration.position = position }
        }
        return activate(resuming: old)
    }

    private mutating func restart() -> String? {
        setUp()
        return activate()
    }
}

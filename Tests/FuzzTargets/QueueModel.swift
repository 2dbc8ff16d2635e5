import GuestMemory
import Virtio

/// What a driver that knows the specification expects of a device's side of a queue: written from the specification,
/// not from `Virtqueue`, to be held against it.
struct QueueModel {
    struct Chain: Equatable {
        var head: UInt16
        var writable: [GuestSegment] = []
        var writableBytes: UInt64 = 0
    }

    /// What the device has been told of the queue.
    let configuration: QueueConfiguration
    private let indirect: Bool
    private var usedIndex: UInt16
    /// Buffers that came back since the device was activated.
    private(set) var returned = 0
    /// With those that came back before older ones.
    var allReturned: Int { returned + done.count }
    /// What each place in the available ring may have held when the device looked, by the number of the place since
    /// the activation.
    private var waiting: [Int: [Chain]] = [:]
    private var done: Set<Int> = []
    private var tables: [GuestSegment] = []
    /// The queue writes on itself, so nothing can be said of what is in it.
    var isTangled = false

    /// nil for a queue that is not in memory: a device that needs it refuses it, and others have it and don't look.
    init?(_ configuration: QueueConfiguration, indirect: Bool, _ space: GuestSpace) {
        self.configuration = configuration
        self.indirect = indirect
        usedIndex = space.load(configuration.usedRing &+ 2) ?? 0
        for part in others + [usedRing] where !space.memory.contains(part.address, count: UInt64(part.count)) {
            return nil
        }
    }

    /// After a pause: what the device had taken then can still come back.
    mutating func resume(_ old: QueueModel) {
        let taken = Int(configuration.position.nextAvailable &- old.configuration.position.nextAvailable)
        for (place, chains) in old.waiting where place < taken { waiting[place - taken] = chains }
        isTangled = old.isTangled
    }

    /// Descriptors looked at in one go; a program that makes more of them is not worth its time.
    private static let mostSteps = 4000

    /// What the device writes whenever it likes.
    var usedRing: GuestSegment {
        GuestSegment(
            address: configuration.usedRing,
            count: UInt32(clamping: QueueConfiguration.usedRingBytes(configuration.size)))
    }

    private var others: [GuestSegment] {
        [
            GuestSegment(
                address: configuration.descriptorTable,
                count: UInt32(clamping: QueueConfiguration.descriptorTableBytes(configuration.size))),
            GuestSegment(
                address: configuration.availableRing,
                count: UInt32(clamping: QueueConfiguration.availableRingBytes(configuration.size))),
        ]
    }

    /// What steers the device: a buffer that it may write must not be here.
    var controls: [GuestSegment] { others + [usedRing] + tables }
    var writable: [GuestSegment] { waiting.values.flatMap { $0.flatMap(\.writable) } }

    /// Before the device runs: what is there for it.
    mutating func look(_ space: GuestSpace) {
        guard let index: UInt16 = space.load(configuration.availableRing &+ 2) else { return }
        let next = configuration.position.nextAvailable &+ UInt16(truncatingIfNeeded: returned)
        // A driver that runs over its ring is only seen when the device reads the index, which it need not do at once;
        // and a device that keeps buffers for later may let it do so again and again.
        let ahead = min(Int(index &- next), 8 * Int(configuration.size))
        if waiting.count > 4 * Int(configuration.size) { isTangled = true }
        var steps = 0
        for place in returned..<(returned + ahead) where !done.contains(place) {
            let slot = (Int(configuration.position.nextAvailable) + place) & (Int(configuration.size) - 1)
            guard let head: UInt16 = space.load(configuration.availableRing &+ 4 &+ UInt64(2 * slot)),
                let chain = walk(head, space, &steps)
            else { continue }
            if waiting[place]?.last != chain { waiting[place, default: []].append(chain) }
            if steps > Self.mostSteps || (waiting[place]?.count ?? 0) > 32 { isTangled = true }
            if isTangled { return }
        }
    }

    /// Whether what the device may write decides what it does.
    mutating func tangle(with controls: [GuestSegment], writable: [GuestSegment]) {
        if isTangled || writable.count * controls.count > 1 << 16 {
            isTangled = true
            return
        }
        for target in writable {
            for control in controls where Self.overlap(target, control) { isTangled = true }
        }
        for other in others + tables where Self.overlap(other, usedRing) { isTangled = true }
    }

    static func overlap(_ a: GuestSegment, _ b: GuestSegment) -> Bool {
        a.address < b.address ? b.address - a.address < UInt64(a.count) : a.address - b.address < UInt64(b.count)
    }

    /// A buffer that came back.
    struct Used {
        var head: UInt16
        var written: UInt32
    }

    /// After the device has run.
    /// - Parameter used: gets what came back.
    mutating func judge(_ space: GuestSpace, _ used: inout [Used]) -> String? {
        guard !isTangled, let index: UInt16 = space.load(configuration.usedRing &+ 2) else { return nil }
        for _ in 0..<(index &- usedIndex) {
            let slot = UInt64(usedIndex) & UInt64(configuration.size &- 1)
            let at = configuration.usedRing &+ 4 &+ 8 &* slot
            guard let head: UInt32 = space.load(at), let written: UInt32 = space.load(at &+ 4) else { return nil }
            let places = waiting.filter { $0.value.contains { UInt32($0.head) == head } }
            guard let place = places.keys.min(), let chains = waiting.removeValue(forKey: place) else {
                return "used entry \(usedIndex) is buffer \(head), which was not available"
            }
            let most = chains.filter { UInt32($0.head) == head }.map(\.writableBytes).max() ?? 0
            if UInt64(written) > most {
                return "used entry \(usedIndex): \(written) bytes written into buffer \(head) of \(most)"
            }
            usedIndex &+= 1
            used.append(Used(head: UInt16(head), written: written))
            // Those of before a pause are not counted.
            if place >= 0 { done.insert(place) }
            while done.remove(returned) != nil { returned += 1 }
        }
        return nil
    }

    /// nil for what is no chain: the device has to leave it alone.
    private mutating func walk(_ head: UInt16, _ space: GuestSpace, _ steps: inout Int) -> Chain? {
        var chain = Chain(head: head)
        var table = (address: configuration.descriptorTable, count: configuration.size, isIndirect: false)
        var index = UInt32(head)
        var length = 0
        while true {
            steps += 1
            length += 1
            let at = table.address &+ 16 &* UInt64(index)
            guard index < table.count, length <= Int(configuration.size) + 1,
                let address: UInt64 = space.load(at), let count: UInt32 = space.load(at &+ 8),
                let flags: UInt16 = space.load(at &+ 12), let next: UInt16 = space.load(at &+ 14)
            else { return nil }
            if flags & 4 != 0 {
                guard indirect, !table.isIndirect, flags & 1 == 0, count % 16 == 0, count > 0 else { return nil }
                let place = GuestSegment(address: address, count: count)
                tables.append(place)
                table = (address, count / 16, true)
                index = 0
                continue
            }
            guard count > 0, space.memory.contains(address, count: UInt64(count)) else { return nil }
            if flags & 2 != 0 {
                chain.writable.append(GuestSegment(address: address, count: count))
                chain.writableBytes += UInt64(count)
            }
            if flags & 1 == 0 { return chain }
            index = UInt32(next)
        }
    }
}

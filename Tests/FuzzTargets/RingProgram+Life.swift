import Glibc
import GuestMemory
import Virtio

/// The device is set up, stopped and reset, and what it did is judged.
extension RingProgram where Device: ~Copyable {
    /// Queues as a driver makes them, or at the edges of what can be said.
    mutating func setUp() {
        let choice = input.byte()
        features = device.features
        if choice & 1 != 0 { features.remove(.eventIndex) }
        // Whatever the device offers: the queue's code is the same for all.
        if choice & 2 != 0 { features.insert(.indirectDescriptors) }
        isDistorted = choice > 0xE0
        let start: UInt16 = choice & 4 == 0 ? 0 : input.number([0, 1, 0xFFFF, 0xFFF0])
        rings = (0..<min(device.queueCount, Self.mostQueues)).map { number in
            let size: UInt32 = choice & 8 == 0 ? 64 : input.pick([1, 2, 8, 16, 256])
            return DriverRing(number, size: size, start: start)
        }
        asked = rings.map { _ in [:] }
        if isDistorted { distort() }
        for ring in rings { ring.clear(space) }
        space.acceptAll()
    }

    private mutating func distort() {
        let number = input.below(rings.count)
        switch input.below(5) {
        case 0: rings[number].configuration.size = input.number([0, 3, 512, 4096, 32768, 65536])
        case 1: rings[number].configuration.descriptorTable = input.number(GuestSpace.addresses)
        case 2: rings[number].configuration.availableRing = input.number(GuestSpace.addresses)
        case 3: rings[number].configuration.usedRing = input.number(GuestSpace.addresses)
        // One on top of the other.
        default: rings[number].configuration = rings[input.below(rings.count)].configuration
        }
    }

    /// - Parameter old: what the device was about before a pause.
    mutating func activate(resuming old: [QueueModel?] = []) -> String? {
        guard !isActive else { return nil }
        var queues: [QueueConfiguration?] = rings.map(\.configuration)
        while queues.count < device.queueCount { queues.append(nil) }
        // A queue that the device can be without, and is.
        if queues.count > device.requiredQueues, input.byte() & 1 != 0 { queues[queues.count - 1] = nil }
        space.written = []
        models = queues.prefix(rings.count).map { queue in
            queue.flatMap { QueueModel($0, indirect: features.contains(.indirectDescriptors), space) }
        }
        for (number, old) in old.enumerated() { if let old { models[number]?.resume(old) } }
        look()
        do throws(QueueError) {
            try device.activate(DeviceSetup(memory: space.memory, features: features, queues: queues))
            isActive = true
        } catch {
            models = []
            // It may not be half alive.
            if device.run() == .atOnce, device.run() == .atOnce { return "a device that was not activated has work" }
        }
        return judge()
    }

    mutating func stop() -> String? {
        var old: [QueueModel?] = []
        return deactivate(&old).complaint
    }

    /// - Parameter last: gets the models as they were in the end.
    /// - Returns: where the queues stand; nil when the device was not active.
    mutating func deactivate(_ last: inout [QueueModel?]) -> (positions: [QueuePosition?]?, complaint: String?) {
        guard isActive else { return (nil, nil) }
        look()
        let positions = device.deactivate()
        let complaint = judge()
        last = models
        isActive = false
        models = []
        if let complaint { return (positions, complaint) }
        guard positions.count == device.queueCount else { return (positions, "positions of \(positions.count) queues") }
        if last.contains(where: { $0?.isTangled ?? false }) { return (positions, nil) }
        for (number, model) in last.enumerated() {
            guard let model, let position = positions[number] else { continue }
            let taken = Int(position.nextAvailable &- model.configuration.position.nextAvailable)
            // All that was taken came back, but for what the device keeps for later.
            let returned = model.allReturned & 0xFFFF
            guard taken >= returned || model.allReturned > 0xFFFF, taken - returned <= Int(model.configuration.size)
            else {
                return (positions, "queue \(number) stands at \(taken) with \(returned) buffers given back")
            }
        }
        return (positions, nil)
    }

    /// Also of a device at work.
    mutating func reset() -> String? {
        look()
        device.reset()
        isActive = false
        return judge()
    }

    var isTangled: Bool { models.contains { $0?.isTangled ?? false } }

    mutating func look() {
        guard isActive || !models.isEmpty else { return }
        for number in models.indices { models[number]?.look(space) }
        tangleWritten()
        let controls = models.flatMap { $0?.controls ?? [] }
        let writable = models.flatMap { $0?.writable ?? [] }
        // A device with threads goes on while it is judged: what it might write then was there for it to write.
        defer { space.accept(writable + usedRings) }
        for number in models.indices { models[number]?.tangle(with: controls, writable: writable) }
        // Rings of two queues on top of each other: each writes what the other one reads.
        for one in models.indices {
            for other in models.indices where one != other {
                guard let used = models[one]?.usedRing, let controls = models[other]?.controls else { continue }
                if controls.contains(where: { QueueModel.overlap($0, used) }) {
                    models[one]?.isTangled = true
                    models[other]?.isTangled = true
                }
            }
        }
    }

    /// A used ring that the driver writes says nothing of the device.
    private mutating func tangleWritten() {
        for number in models.indices {
            guard let used = models[number]?.usedRing else { continue }
            if space.written.contains(where: { QueueModel.overlap($0, used) }) { models[number]?.isTangled = true }
        }
        space.written = []
    }

    /// Holds memory and used rings against the models. An inactive device has no models, and may write nothing.
    mutating func judge() -> String? {
        defer { if !isActive { models = [] } }
        if isTangled {
            space.acceptAll()
            return nil
        }
        if let address = strayWrite() { return "a write to \(String(address, radix: 16)), which was not allowed" }
        let writable = models.flatMap { $0?.writable ?? [] }
        // A device with threads goes on while it is judged: what it might write then was there for it to write.
        defer { space.accept(writable + usedRings) }
        for number in models.indices {
            var used: [QueueModel.Used] = []
            if let complaint = models[number]?.judge(space, &used) { return "queue \(number): \(complaint)" }
            for one in used {
                guard let asked = asked[number].removeValue(forKey: one.head) else { continue }
                // What other buffers share with it may be theirs.
                let isAlone = asked.answer.allSatisfy { part in
                    writable.count { QueueModel.overlap($0, part) } == 1
                }
                guard isAlone else { continue }
                if let complaint = judge(asked.request, asked.answer, one) { return "queue \(number): \(complaint)" }
            }
        }
        return nil
    }

    private var usedRings: [GuestSegment] { models.compactMap { $0?.usedRing } }

    private func strayWrite() -> UInt64? {
        for _ in 0..<3 {
            space.accept(models.flatMap { $0?.writable ?? [] } + usedRings)
            guard let address = space.strayWrite() else { return nil }
            // A device with threads may have answered just now, between the one line and the other.
            usleep(2000)
            if !isActive { return address }
        }
        return space.strayWrite()
    }

    private func judge(_ request: [UInt8], _ segments: [GuestSegment], _ used: QueueModel.Used) -> String? {
        var answer = [UInt8](repeating: 0, count: Int(used.written))
        guard let count = try? space.memory.gather(segments, into: &answer), count == answer.count else { return nil }
        return world.answered(request, answer)
    }
}

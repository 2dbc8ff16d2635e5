import GuestMemory
import LinuxSys
import Virtio

/// What the front end asks for.
extension Backend where Device: ~Copyable {
    mutating func handle(_ message: Channel.Message) throws(VhostUserError) {
        let number = message.header.request
        guard let request = Request(rawValue: number) else { throw .unknownRequest(number) }
        guard message.descriptors.count <= request.mostDescriptors else {
            throw .badDescriptors(request: number, count: message.descriptors.count)
        }
        if let answer = try perform(request, message.payload, message.descriptors) {
            try channel.reply(to: number, answer)
        } else if message.header.wantsReply, protocolFeatures.contains(.replyAck) {
            try channel.reply(to: number, Self.number(0))
        }
    }

    /// - Returns: the payload of the reply; nil for a request that has none.
    private mutating func perform(
        _ request: Request, _ payload: [UInt8], _ files: [SharedDescriptor]
    ) throws(VhostUserError) -> [UInt8]? {
        switch request {
        case .getFeatures:
            return Self.number(device.features.rawValue | ProtocolFeatures.featureBit)
        case .setFeatures:
            try setFeatures(try Self.number(in: payload))
        case .getProtocolFeatures:
            return Self.number(ProtocolFeatures.offered.rawValue)
        case .setProtocolFeatures:
            let bits = try Self.number(in: payload)
            guard bits & ~ProtocolFeatures.offered.rawValue == 0 else { throw .badFeatures(bits) }
            protocolFeatures = ProtocolFeatures(rawValue: bits)
        case .setOwner:
            break
        case .resetOwner, .resetDevice:
            reset()
        case .getQueueCount:
            return Self.number(UInt64(device.queueCount))
        case .setMemoryTable:
            let table = try MemoryTable.decode(payload, files)
            stop()
            memory = table
            try start()
        case .getConfiguration:
            return try getConfiguration(payload)
        case .setConfiguration:
            // 'flags' tells a write of the driver from a migration; the device judges both.
            let space = try ConfigurationSpace(payload)
            _ = device.setConfiguration(space.contents, at: space.offset)
        default:
            return try performOnRing(request, payload, files)
        }
        return nil
    }

    private mutating func performOnRing(
        _ request: Request, _ payload: [UInt8], _ files: [SharedDescriptor]
    ) throws(VhostUserError) -> [UInt8]? {
        switch request {
        case .setVringSize:
            let state = try VringState(payload)
            let index = try queue(UInt64(state.index))
            guard state.number >= 1, state.number <= Vring.mostEntries, state.number & (state.number - 1) == 0 else {
                throw .badQueueSize(queue: index, size: state.number)
            }
            stop()
            rings[index].size = state.number
        case .setVringAddress:
            let address = try VringAddress(payload)
            let index = try queue(UInt64(address.index))
            stop()
            rings[index].address = address
        case .setVringBase:
            let state = try VringState(payload)
            let index = try queue(UInt64(state.index))
            stop()
            rings[index].position = QueuePosition(nextAvailable: UInt16(truncatingIfNeeded: state.number))
        case .getVringBase:
            let state = try VringState(payload)
            let index = try queue(UInt64(state.index))
            stop()
            setKick(nil, of: index)
            return VringState(index: state.index, number: UInt32(rings[index].position.nextAvailable)).bytes
        case .setVringEnable:
            let state = try VringState(payload)
            let index = try queue(UInt64(state.index))
            if state.number == 0 { stop() }
            rings[index].isEnabled = state.number != 0
        case .setVringKick:
            let index = try eventQueue(payload, files)
            guard let event = try event(files) else { throw .noKick(queue: index) }
            setKick(event, of: index)
        case .setVringCall:
            try setCall(payload, files)
        case .setVringError:
            let index = try eventQueue(payload, files)
            rings[index].error = try event(files)
        default:
            throw .unknownRequest(request.rawValue)
        }
        try start()
        return nil
    }

    private mutating func setFeatures(_ bits: UInt64) throws(VhostUserError) {
        guard bits & ~(device.features.rawValue | ProtocolFeatures.featureBit) == 0 else { throw .badFeatures(bits) }
        stop()
        features = VirtioFeatures(rawValue: bits & ~ProtocolFeatures.featureBit)
        // Without the bit there is no SET_VRING_ENABLE, and queues start enabled.
        if bits & ProtocolFeatures.featureBit == 0 { for ring in rings { ring.isEnabled = true } }
        try start()
    }

    private func getConfiguration(_ payload: [UInt8]) throws(VhostUserError) -> [UInt8] {
        var space = try ConfigurationSpace(payload)
        // No contents: that is how the front end learns that the range is not there.
        space.contents = device.configuration(at: space.offset, count: space.size) ?? []
        space.size = UInt32(space.contents.count)
        return space.contents.isEmpty ? [] : space.bytes
    }

    private func setCall(_ payload: [UInt8], _ files: [SharedDescriptor]) throws(VhostUserError) {
        let index = try eventQueue(payload, files)
        rings[index].call.replace(try event(files))
        // An interrupt may have gone to the old one while nobody listened there.
        if isActive { rings[index].call.raise() }
    }

    private func queue(_ index: UInt64) throws(VhostUserError) -> Int {
        guard index < UInt64(rings.count) else { throw .noSuchQueue(index) }
        return Int(index)
    }

    /// The payload of SET_VRING_KICK, _CALL and _ERR: a queue's index, and in bit 8 that there is no descriptor.
    private func eventQueue(_ payload: [UInt8], _ files: [SharedDescriptor]) throws(VhostUserError) -> Int {
        let number = try Self.number(in: payload)
        let expected = number & 0x100 == 0 ? 1 : 0
        guard files.count == expected else { throw .badDescriptors(request: 0, count: files.count) }
        return try queue(number & ~0x100)
    }

    private func event(_ files: [SharedDescriptor]) throws(VhostUserError) -> EventDescriptor? {
        guard let file = files.first else { return nil }
        do throws(Errno) {
            let descriptor = try file.descriptor.duplicate()
            // Draining must not wait, whatever the front end made of it.
            try descriptor.setNonBlocking()
            return EventDescriptor(adopting: descriptor)
        } catch {
            throw .system("eventfd", error)
        }
    }

    private static func number(_ value: UInt64) -> [UInt8] {
        var writer = PayloadWriter()
        writer.append(value)
        return writer.bytes
    }

    private static func number(in payload: [UInt8]) throws(VhostUserError) -> UInt64 {
        var reader = PayloadReader(payload)
        let value: UInt64 = try reader.number()
        try reader.end()
        return value
    }
}

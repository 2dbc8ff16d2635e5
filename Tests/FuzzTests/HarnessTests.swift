import GuestMemory
import Testing
import Virtio

@testable import FuzzTargets

/// That the harness sees what it is for: devices that are wrong in one way each.
@Suite("Fuzz targets: the harness")
struct HarnessTests {
    @Test("a device that is right is not complained of")
    func right() throws {
        let complaints = try programs(200).compactMap { try complaint(nil, $0) }
        #expect(complaints == [])
    }

    @Test("each fault is found", arguments: FaultyDevice.Fault.allCases)
    func found(fault: FaultyDevice.Fault) throws {
        let complaints = try programs(200).compactMap { try complaint(fault, $0) }
        #expect(complaints.contains { $0.contains(fault.rawValue) }, "\(complaints.first ?? "nothing")")
    }

    private func programs(_ count: Int) throws -> [[UInt8]] {
        var random = SeededGenerator(11)
        return (0..<count).map { _ in (0..<100).map { _ in .random(in: 0...255, using: &random) } }
    }

    private func complaint(_ fault: FaultyDevice.Fault?, _ input: [UInt8]) throws -> String? {
        var program = RingProgram(FaultyDevice(fault: fault), EchoWorld(), Input(input), try GuestSpace())
        return program.run()
    }
}

/// Wants to have bytes back.
final class EchoWorld: DeviceWorld {
    func request(_ input: inout Input, queue: Int) -> DeviceRequest {
        DeviceRequest(readable: input.take(16), writable: 16)
    }

    func answered(_ request: [UInt8], _ answer: [UInt8]) -> String? {
        request.starts(with: answer) ? nil : "another answer"
    }

    func act(_ input: inout Input) {}
}

/// Gives bytes back, mostly.
struct FaultyDevice: VirtioDevice, ~Copyable {
    /// By what the complaint says of it.
    enum Fault: String, CaseIterable {
        case strayWrite = "not allowed"
        case unknownBuffer = "was not available"
        case tooMuch = "bytes written into buffer"
        case restless = "come to rest"
        case wrongAnswer = "another answer"
        case wrongPosition = "stands at"
        case wrongConfiguration = "of configuration for"
    }

    let fault: Fault?
    private var active: Activation<Active> = .inactive

    struct Active: ~Copyable {
        let memory: GuestMemory
        var queue: Virtqueue
        var chain = DescriptorChain()
    }

    init(fault: Fault?) { self.fault = fault }

    var features: VirtioFeatures { [.version1, .eventIndex] }
    var queueCount: Int { 1 }
    var requiredQueues: Int { 1 }
    var descriptor: Int32? { nil }

    func configuration(at offset: UInt32, count: UInt32) -> [UInt8]? {
        guard offset <= 8, count <= 8 - offset else { return nil }
        return [UInt8](repeating: 0, count: fault == .wrongConfiguration ? 9 : Int(count))
    }

    mutating func setConfiguration(_ bytes: [UInt8], at offset: UInt32) -> Bool { false }

    mutating func activate(_ setup: DeviceSetup) throws(QueueError) {
        guard let queue = setup.queues[0] else { throw .badSize(0) }
        active = .activated(
            Active(
                memory: setup.memory, queue: try Virtqueue(queue, memory: setup.memory, features: setup.features)))
    }

    mutating func deactivate() -> [QueuePosition?] {
        let fault = fault
        let positions = active.withActive { active -> [QueuePosition?] in
            var position = active.queue.position
            if fault == .wrongPosition { position.nextAvailable &-= 1 }
            return [position]
        }
        active = .inactive
        return positions ?? [nil]
    }

    mutating func reset() { active = .inactive }
    func save() -> Bool { true }
    mutating func restore(_ state: Bool) {}
    mutating func queueKicked(_ index: Int) {}
    mutating func descriptorReady() {}

    mutating func run() -> NextRun {
        let fault = fault
        do throws(QueueError) {
            try active.withActive { active throws(QueueError) in
                while try active.queue.pop(into: &active.chain) { Self.answer(&active, fault) }
                active.queue.publish()
            }
        } catch {
            active = .inactive
            return .broken(error)
        }
        return fault == .restless && active.isActive ? .atOnce : .whenWoken
    }

    private static func answer(_ active: inout Active, _ fault: Fault?) {
        var bytes = [UInt8](repeating: 0, count: Int(min(active.chain.readableBytes, active.chain.writableBytes, 16)))
        _ = try? active.memory.gather(active.chain.readable, into: &bytes)
        if fault == .wrongAnswer { for index in bytes.indices { bytes[index] ^= 1 } }
        _ = try? active.memory.scatter(bytes, into: active.chain.writable)
        if fault == .strayWrite, let last = active.chain.writable.last {
            try? active.memory.store(0xEE as UInt8, at: last.address &+ UInt64(last.count))
        }
        let head = fault == .unknownBuffer ? active.chain.head ^ 0x21 : active.chain.head
        let more: UInt32 = fault == .tooMuch ? active.chain.writableBytes + 1 : 0
        active.queue.push(head, written: UInt32(bytes.count) + more)
    }
}

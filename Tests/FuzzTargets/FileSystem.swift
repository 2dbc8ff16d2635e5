import FileCalls
import GuestMemory
import LinuxSys
import Synchronization
import Virtio
import VirtioFS

@Sendable func fileSystem(_ input: [UInt8]) -> String? {
    withoutErrors {
        let host = try FileSystemHost.shared.get()
        return try host.use { try run(input, host) }
    }
}

/// A function, not a closure: Swift 6.3 gives up on a program of this kind in a closure within a closure.
@inline(never)
private func run(_ bytes: [UInt8], _ host: FileSystemHost) throws -> String? {
    var input = Input(bytes)
    let world = try FileSystemWorld(host.device.trees, input.pick([.auto, .always, .never]))
    let space = try GuestSpace()
    var program = RingProgram(BorrowedDevice(host: host), world, input, space)
    let complaint = program.run()
    let outside = world.close()
    return complaint ?? outside
}

/// The one device of this process: it has threads that stay, so that there can't be one for each input.
final class FileSystemHost: @unchecked Sendable {
    static let shared = Result { try FileSystemHost() }

    private let mutex = Mutex(())
    fileprivate var device: FileSystemDevice

    private init() throws {
        // Small, so that all limits are met.
        let limits = FileSystemLimits(inodes: 24, openFiles: 8, descriptors: 4, lockOwners: 4)
        device = try FileSystemDevice(tag: "fuzz", limits: limits)
    }

    /// One input at a time.
    func use(_ body: () throws -> String?) throws -> String? { try mutex.withLock { _ in try body() } }
}

/// The shared device, lent for one input.
struct BorrowedDevice: VirtioDevice, ~Copyable {
    let host: FileSystemHost

    var features: VirtioFeatures { host.device.features }
    var queueCount: Int { host.device.queueCount }
    var requiredQueues: Int { host.device.requiredQueues }
    var descriptor: Int32? { host.device.descriptor }
    func configuration(at offset: UInt32, count: UInt32) -> [UInt8]? {
        host.device.configuration(at: offset, count: count)
    }
    mutating func setConfiguration(_ bytes: [UInt8], at offset: UInt32) -> Bool {
        host.device.setConfiguration(bytes, at: offset)
    }
    mutating func activate(_ setup: DeviceSetup) throws(QueueError) { try host.device.activate(setup) }
    mutating func deactivate() -> [QueuePosition?] { host.device.deactivate() }
    mutating func reset() { host.device.reset() }
    func save() -> FileSystemDevice.SavedState { host.device.save() }
    mutating func restore(_ state: FileSystemDevice.SavedState) { host.device.restore(state) }
    mutating func queueKicked(_ index: Int) { host.device.queueKicked(index) }
    mutating func descriptorReady() { host.device.descriptorReady() }
    mutating func poll() -> Bool { host.device.poll() }
    mutating func run() -> NextRun { host.device.run() }
}

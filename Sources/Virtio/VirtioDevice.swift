import GuestMemory

/// What the transport hands to a device when its driver is ready.
public struct DeviceSetup {
    public var memory: GuestMemory
    /// What was negotiated.
    public var features: VirtioFeatures
    /// By index; nil for a queue that the driver (or the transport) does not give to the device.
    public var queues: [QueueConfiguration?]

    public init(memory: GuestMemory, features: VirtioFeatures, queues: [QueueConfiguration?]) {
        self.memory = memory
        self.features = features
        self.queues = queues
    }
}

/// When a device wants to run again.
public enum NextRun: Equatable, Sendable {
    /// When a queue is kicked or its descriptor is ready.
    case whenWoken
    /// There is more to do than was done in one go.
    case atOnce
    case within(milliseconds: UInt32)
    /// A queue can't be used any more; told once. The device is inactive from now on.
    case broken(QueueError)
}

/// A device model: it knows queues and guest memory, not how they got here (vhost-user, MMIO). One thread.
///
/// Kicks and readiness are only noted (`queueKicked`, `descriptorReady`); the work is done by `run`, once for all that
/// came together.
public protocol VirtioDevice: ~Copyable {
    /// All that the device knows and a new one in its place would need, as a plain value; queues are the transport's.
    associatedtype SavedState: Equatable & Sendable

    /// What the device offers. The transport adds its own.
    var features: VirtioFeatures { get }
    /// Queues that the device has.
    var queueCount: Int { get }
    /// How many of them, the first ones, it can't be without.
    var requiredQueues: Int { get }
    /// Bytes of the configuration space, or nil when the range is not in it.
    func configuration(at offset: UInt32, count: UInt32) -> [UInt8]?
    /// The driver writes to the configuration space; false when it may not.
    mutating func setConfiguration(_ bytes: [UInt8], at offset: UInt32) -> Bool

    /// The driver is ready. Also after a pause: then the positions are those that `deactivate` returned.
    mutating func activate(_ setup: DeviceSetup) throws(QueueError)
    /// Finishes what the driver has already made available, then lets go of queues and guest memory.
    /// - Returns: by index, where each queue stands; nil for one that was not in use.
    mutating func deactivate() -> [QueuePosition?]
    /// Forgets everything that belongs to the driver. The device is inactive.
    mutating func reset()

    /// The device's state; to be asked for while it is inactive.
    func save() -> SavedState
    /// Goes on where another device was saved; before it is activated for the first time. What is not to be had any more
    /// on this host (a file, a connection) is an error to the guest when it asks for it, not here.
    mutating func restore(_ state: SavedState)

    /// To be watched for readability by the transport; nil when the device has only its queues.
    var descriptor: Int32? { get }
    mutating func queueKicked(_ index: Int)
    mutating func descriptorReady()
    /// Does what there is to do, and does not ask to be kicked for more: for a transport that looks again at once. Before
    /// it sleeps it calls `run`.
    /// - Returns: whether there was anything. false also when a queue is broken, which `run` tells.
    mutating func poll() -> Bool
    mutating func run() -> NextRun
}

extension VirtioDevice where Self: ~Copyable {
    /// A device that nobody waits for has no use for it.
    public mutating func poll() -> Bool { false }
}

import GuestMemory
import Virtio

/// The queue of an activated device (virtio 1.2 §5.2.2); one, for all requests go to one file.
struct BlockQueues: ~Copyable {
    static let count = 1
    /// Requests before the transport gets its turn.
    private static let budget = 32

    private let memory: GuestMemory
    /// The driver knows no FLUSH: every write is on the disk when it is answered.
    private let writesThrough: Bool
    private var requests: Virtqueue
    private var chain = DescriptorChain()

    init(_ setup: DeviceSetup) throws(QueueError) {
        guard let queue = setup.queues.first, let queue else { throw .badSize(0) }
        self.init(
            setup.memory, try Virtqueue(queue, memory: setup.memory, features: setup.features),
            writesThrough: setup.features.isDisjoint(with: [.blockFlush, .blockCacheMode]))
    }

    private init(_ memory: GuestMemory, _ requests: consuming Virtqueue, writesThrough: Bool) {
        self.memory = memory
        self.requests = requests
        self.writesThrough = writesThrough
    }

    var positions: [QueuePosition?] { [requests.position] }

    enum Served {
        /// There was nothing, or nothing any more.
        case idle
        case some
        case budgetUsed
    }

    /// Carries out what there is, each request told as soon as it is done: the next one may have to wait for the disk.
    /// - Parameter polling: it is called again at once, so the driver need not kick.
    mutating func serve(_ disk: BlockDisk, polling: Bool) throws(QueueError) -> Served {
        requests.suppressKicks()
        var served = 0
        while true {
            while served < Self.budget, try requests.pop(into: &chain) {
                let written = disk.process(chain, memory, isDurable: writesThrough || !disk.isCached)
                requests.push(chain.head, written: written)
                if requests.publish() { disk.counters.interrupts &+= 1 }
                served += 1
            }
            if served == Self.budget { return .budgetUsed }
            if polling { return served > 0 ? .some : .idle }
            guard try requests.armKicks() else { return served > 0 ? .some : .idle }
        }
    }
}

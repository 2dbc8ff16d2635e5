import GuestMemory
import Virtio

/// The queues of an activated device (virtio 1.2 §5.11.2): one for requests that go before others (FORGET, INTERRUPT),
/// and one for all others.
struct FileSystemQueues: ~Copyable {
    static let high = 0
    static let requests = 1
    static let count = 2

    let memory: GuestMemory
    private var high: Virtqueue
    private var requests: Virtqueue

    init(_ setup: DeviceSetup) throws(QueueError) {
        guard setup.queues.count >= Self.count, let high = setup.queues[Self.high],
            let requests = setup.queues[Self.requests]
        else { throw .badSize(0) }
        self.init(
            setup.memory, try Virtqueue(high, memory: setup.memory, features: setup.features),
            try Virtqueue(requests, memory: setup.memory, features: setup.features))
    }

    private init(_ memory: GuestMemory, _ high: consuming Virtqueue, _ requests: consuming Virtqueue) {
        self.memory = memory
        self.high = high
        self.requests = requests
    }

    var positions: [QueuePosition?] { [high.position, requests.position] }

    /// A driver that starts; one that was paused goes on where it was.
    var isFresh: Bool { high.position.nextAvailable == 0 && requests.position.nextAvailable == 0 }

    /// Takes the next request.
    /// - Returns: of which queue it is; nil when there is none.
    mutating func pop(into chain: inout DescriptorChain) throws(QueueError) -> Int? {
        if try high.pop(into: &chain) { return Self.high }
        return try requests.pop(into: &chain) ? Self.requests : nil
    }

    /// Gives a request back to the guest.
    /// - Returns: whether it was interrupted for that.
    mutating func finish(_ head: UInt16, of queue: Int, written: UInt32) -> Bool {
        if queue == Self.high {
            high.push(head, written: written)
            return high.publish()
        }
        requests.push(head, written: written)
        return requests.publish()
    }

    mutating func suppressKicks() {
        high.suppressKicks()
        requests.suppressKicks()
    }

    /// - Returns: true when there is a request already.
    mutating func armKicks() throws(QueueError) -> Bool {
        let inHigh = try high.armKicks()
        let inRequests = try requests.armKicks()
        return inHigh || inRequests
    }
}

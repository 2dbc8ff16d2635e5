import GuestMemory
import Virtio

/// The queues of an activated device (virtio 1.2 §5.11.2): one for requests that go before others (FORGET, INTERRUPT),
/// and one for all others.
struct FileSystemQueues: ~Copyable {
    static let high = 0
    static let requests = 1
    static let count = 2

    /// FORGETs that are gathered, in the guest before it kicks and here before it is interrupted: nobody waits for them.
    private static let gathered: UInt16 = 32
    /// Requests after which a FORGET gets its turn in any case.
    private static let patience = 32

    let memory: GuestMemory
    private var high: Virtqueue
    private var requests: Virtqueue
    /// Given back, and the guest does not know it yet.
    private var owedHigh: UInt16 = 0
    private var sinceHigh = 0

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
    ///
    /// Requests before FORGETs, in spite of the name of their queue: somebody in the guest waits for the former.
    mutating func pop(into chain: inout DescriptorChain) throws(QueueError) -> Int? {
        if sinceHigh < Self.patience, try requests.pop(into: &chain) {
            sinceHigh += 1
            return Self.requests
        }
        sinceHigh = 0
        if try high.pop(into: &chain) { return Self.high }
        return try requests.pop(into: &chain) ? Self.requests : nil
    }

    /// Gives a request back to the guest.
    /// - Returns: whether it was interrupted for that.
    mutating func finish(_ head: UInt16, of queue: Int, written: UInt32) -> Bool {
        if queue == Self.high {
            high.push(head, written: written)
            owedHigh += 1
            return owedHigh >= Self.gathered ? publishHigh() : false
        }
        // Linux waits for each of them, RELEASE included.
        requests.push(head, written: written)
        return requests.publish()
    }

    private mutating func publishHigh() -> Bool {
        owedHigh = 0
        return high.publish()
    }

    /// Tells the guest of everything that was given back.
    /// - Returns: whether it was interrupted for that.
    mutating func settle() -> Bool { owedHigh > 0 && publishHigh() }

    mutating func suppressKicks() {
        high.suppressKicks()
        requests.suppressKicks()
    }

    /// - Parameter gathering: more FORGETs may come together before there is a kick for them.
    /// - Returns: true when there is a request already.
    mutating func armKicks(gathering: Bool) throws(QueueError) -> Bool {
        let inHigh = try high.armKicks(waitingFor: gathering ? min(Self.gathered, high.size / 2) : 1)
        let inRequests = try requests.armKicks()
        return inHigh || inRequests
    }
}

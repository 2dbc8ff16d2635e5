import FileCalls
import LinuxSys

/// Locks on ranges of files (fcntl(2)). A lock belongs to an owner in the guest; on the host it belongs to an open file,
/// so that each owner gets one of its own for each inode it locks. Guarded by the file system's monitor.
struct LockTable {
    struct Owner: Hashable {
        var inode: UInt64
        /// lock_owner of the requests.
        var number: UInt64
    }

    /// A request for a lock that another has, to be tried again.
    struct Waiter {
        var chain: PendingReply
        var owner: Owner?
        var descriptor: SharedDescriptor
        var tree: Tree
        var lock: RangeLock
        /// flock(2), not fcntl(2).
        var isWhole: Bool
        /// Nanoseconds of the monotonic clock, and how long to wait after the next failure.
        var due: UInt64
        var pause: UInt64
    }

    static let firstPause: UInt64 = 1_000_000
    static let longestPause: UInt64 = 20_000_000
    private static let mostWaiters = 256

    private let limit: Int
    private var descriptors: [Owner: (SharedDescriptor, Tree)] = [:]
    private(set) var waiters: [Waiter] = []

    init(limit: Int) { self.limit = limit }

    var isFull: Bool { descriptors.count >= limit }

    subscript(owner: Owner) -> SharedDescriptor? { descriptors[owner]?.0 }

    mutating func add(_ descriptor: SharedDescriptor, of owner: Owner, in tree: Tree) {
        descriptors[owner] = (descriptor, tree)
    }

    /// All locks of the owner on the inode go, with the descriptor that is returned.
    mutating func release(_ owner: Owner) -> SharedDescriptor? { descriptors.removeValue(forKey: owner)?.0 }

    mutating func wait(_ waiter: Waiter) throws(Errno) {
        guard waiters.count < Self.mostWaiters else { throw .noLocks }
        waiters.append(waiter)
    }

    mutating func takeWaiters(due now: UInt64) -> [Waiter] {
        let due = waiters.filter { $0.due <= now }
        if !due.isEmpty { waiters.removeAll { $0.due <= now } }
        return due
    }

    mutating func putBack(_ waiter: Waiter) { waiters.append(waiter) }

    /// The waiting request of this number, which nobody waits for any more.
    mutating func interrupt(_ unique: UInt64) -> Waiter? {
        guard let index = waiters.firstIndex(where: { $0.chain.unique == unique }) else { return nil }
        return waiters.remove(at: index)
    }

    mutating func removeAll(of tree: Tree) { descriptors = descriptors.filter { $0.value.1 !== tree } }

    /// Nobody is there any more to be answered.
    mutating func removeWaiters() { waiters = [] }

    mutating func removeAll() {
        descriptors = [:]
        waiters = []
    }
}

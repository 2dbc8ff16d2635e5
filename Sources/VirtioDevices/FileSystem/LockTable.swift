import FileCalls
import LinuxSys

/// Locks on ranges of files (fcntl(2)). A lock belongs to an owner in the guest; on the host it belongs to an open file,
/// so that each owner gets one of its own for each inode it locks. Guarded by the file system's monitor.
struct LockTable {
    struct Owner: Hashable {
        var inode: UInt64
        /// lock_owner of the requests: a process, whatever the file.
        var number: UInt64
    }

    /// A request for a lock that another has, to be tried again.
    struct Waiter {
        var chain: PendingReply
        var owner: Owner?
        /// The process, as its guest numbers it.
        var pid: UInt32
        var descriptor: SharedDescriptor
        var tree: Tree
        var lock: RangeLock
        /// flock(2), not fcntl(2).
        var isWhole: Bool
        /// Nanoseconds of the monotonic clock, and how long to wait after the next failure.
        var due: UInt64
        var pause: UInt64
    }

    /// What an owner has on an inode.
    private struct Holding {
        var descriptor: SharedDescriptor
        var tree: Tree
        var pid: UInt32 = 0
        /// As the host has them.
        var ranges = LockedRanges()
    }

    static let firstPause: UInt64 = 1_000_000
    static let longestPause: UInt64 = 20_000_000
    private static let mostWaiters = 256
    /// Ranges of all owners. Each costs the host's kernel some 200 bytes as well.
    private static let mostRanges = 65536

    private let limit: Int
    private var holdings: [Owner: Holding] = [:]
    /// Owners by inode.
    private var owners: [UInt64: Set<UInt64>] = [:]
    private var rangeCount = 0
    private(set) var waiters: [Waiter] = []

    init(limit: Int) { self.limit = limit }

    var isFull: Bool { holdings.count >= limit }
    var isFullOfRanges: Bool { rangeCount >= Self.mostRanges }

    subscript(owner: Owner) -> SharedDescriptor? { holdings[owner]?.descriptor }

    mutating func add(_ descriptor: SharedDescriptor, of owner: Owner, in tree: Tree) {
        holdings[owner] = Holding(descriptor: descriptor, tree: tree)
        owners[owner.inode, default: []].insert(owner.number)
    }

    /// The host has given the owner the lock, or taken it back.
    mutating func note(_ lock: RangeLock, of owner: Owner, pid: UInt32) {
        guard var holding = holdings[owner] else { return }
        holdings[owner] = nil
        rangeCount -= holding.ranges.count
        holding.ranges.set(lock)
        rangeCount += holding.ranges.count
        if lock.kind != .none { holding.pid = pid }
        holdings[owner] = holding
    }

    /// All locks of the owner on the inode go, with the descriptor that is returned.
    mutating func release(_ owner: Owner) -> SharedDescriptor? {
        guard let holding = holdings.removeValue(forKey: owner) else { return nil }
        rangeCount -= holding.ranges.count
        owners[owner.inode]?.remove(owner.number)
        if owners[owner.inode]?.isEmpty == true { owners[owner.inode] = nil }
        return holding.descriptor
    }

    /// Owners of the guest that have what is in the way of the owner's lock.
    private func holders(inTheWayOf owner: Owner, _ lock: RangeLock) -> [Owner] {
        (owners[owner.inode] ?? []).map { Owner(inode: owner.inode, number: $0) }.filter {
            $0 != owner && holdings[$0]?.ranges.conflict(with: lock) == true
        }
    }

    /// The process of the guest that has a lock in the way; nil when it is somebody else's.
    func pid(inTheWayOf owner: Owner, _ lock: RangeLock) -> UInt32? {
        holders(inTheWayOf: owner, lock).first.flatMap { holdings[$0]?.pid }
    }

    // MARK: Waiting

    /// Whether an owner that waited for the lock would wait for itself, by way of what others wait for.
    func wouldWaitForever(_ owner: Owner, _ lock: RangeLock) -> Bool {
        var seen: Set<UInt64> = []
        var next = holders(inTheWayOf: owner, lock)
        while let holder = next.popLast() {
            if holder.number == owner.number { return true }
            guard seen.insert(holder.number).inserted else { continue }
            for waiter in waiters where !waiter.isWhole {
                guard let waiting = waiter.owner, waiting.number == holder.number else { continue }
                next += holders(inTheWayOf: waiting, waiter.lock)
            }
        }
        return false
    }

    mutating func wait(_ waiter: Waiter) throws(Errno) {
        guard waiters.count < Self.mostWaiters else { throw .noLocks }
        var waiter = waiter
        if let owner = waiter.owner {
            if wouldWaitForever(owner, waiter.lock) { throw .deadlock }
            // A close(2) of the owner's can have taken its descriptor meanwhile.
            if let known = self[owner] {
                waiter.descriptor = known
            } else {
                add(waiter.descriptor, of: owner, in: waiter.tree)
            }
        }
        waiters.append(waiter)
    }

    /// Those to be tried now. They stay here, so that what they wait with is not taken from them meanwhile.
    func waiters(due now: UInt64) -> [Waiter] { waiters.filter { $0.due <= now } }

    func isWaiting(_ owner: Owner) -> Bool { waiters.contains { $0.owner == owner } }

    mutating func postpone(_ unique: UInt64, to due: UInt64, pause: UInt64) {
        guard let index = waiters.firstIndex(where: { $0.chain.unique == unique }) else { return }
        waiters[index].due = due
        waiters[index].pause = pause
    }

    /// The waiting request of this number is not waited for any more: it has what it wanted, or will not have it.
    mutating func endWaiting(_ unique: UInt64) -> Waiter? {
        guard let index = waiters.firstIndex(where: { $0.chain.unique == unique }) else { return nil }
        return waiters.remove(at: index)
    }

    // MARK: The end

    mutating func removeAll(of tree: Tree) -> [SharedDescriptor] {
        holdings.filter { $0.value.tree === tree }.compactMap { release($0.key) }
    }

    /// Nobody is there any more to be answered.
    mutating func removeWaiters() -> [Waiter] {
        defer { waiters = [] }
        return waiters
    }

    mutating func removeAll() -> [SharedDescriptor] {
        defer {
            holdings = [:]
            owners = [:]
            rangeCount = 0
            waiters = []
        }
        return holdings.values.map(\.descriptor) + waiters.map(\.descriptor)
    }
}

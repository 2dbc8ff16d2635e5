import FileCalls

/// The ranges of one file that one owner has locked: what the host has done with its locks, done once more, since it tells
/// nobody who has which.
struct LockedRanges {
    private struct Range {
        var first: Int64
        /// The last byte is included.
        var last: Int64
        var isWrite: Bool
    }

    /// In their order, none in another.
    private var ranges: [Range] = []

    var count: Int { ranges.count }

    private static func last(_ lock: RangeLock) -> Int64 {
        lock.length == 0 ? Int64.max : lock.start &+ (lock.length &- 1)
    }

    /// Takes, changes or gives up what is in the lock's range.
    mutating func set(_ lock: RangeLock) {
        let (first, last) = (lock.start, Self.last(lock))
        var before = ranges.prefix { $0.first < first }.map { $0 }
        var after: [Range] = []
        for range in ranges where range.last > last {
            after.append(Range(first: max(range.first, last &+ 1), last: range.last, isWrite: range.isWrite))
        }
        for index in before.indices where before[index].last >= first { before[index].last = first &- 1 }
        if lock.kind == .none {
            ranges = before + after
            return
        }
        var new = Range(first: first, last: last, isWrite: lock.kind == .write)
        // Neighbours of the same kind are one range, as on the host.
        if let neighbour = before.last, neighbour.isWrite == new.isWrite, neighbour.last == first &- 1 {
            before.removeLast()
            new.first = neighbour.first
        }
        if let neighbour = after.first, neighbour.isWrite == new.isWrite, neighbour.first == last &+ 1 {
            after.removeFirst()
            new.last = neighbour.last
        }
        ranges = before + [new] + after
    }

    /// Whether one of them is in the way of another owner's lock.
    func conflict(with lock: RangeLock) -> Bool {
        if lock.kind == .none { return false }
        let last = Self.last(lock)
        return ranges.contains {
            $0.first <= last && $0.last >= lock.start && ($0.isWrite || lock.kind == .write)
        }
    }
}

import OCISpec

/// `process.scheduler` in the numbers of sched_setattr(2).
public struct SchedulingAttributes: Equatable, Sendable {
    public var policy: UInt32
    public var flags: UInt64
    public var nice: Int32
    public var priority: UInt32
    /// Nanoseconds, as are the two that follow.
    public var runtime: UInt64
    public var deadline: UInt64
    public var period: UInt64

    /// - Throws: names what is unknown.
    init(_ scheduler: Process.Scheduler) throws(SpecError) {
        guard let policy = Process.Scheduler.policies[scheduler.policy] else {
            throw SpecError(path: "process.scheduler.policy", message: "is unknown")
        }
        self.policy = policy
        flags = 0
        for (index, name) in scheduler.flags.enumerated() {
            guard let flag = Process.Scheduler.flagNumbers[name] else {
                throw SpecError(path: "process.scheduler.flags[\(index)]", message: "is unknown")
            }
            flags |= flag
        }
        nice = scheduler.nice
        priority = UInt32(clamping: scheduler.priority)
        runtime = scheduler.runtime
        deadline = scheduler.deadline
        period = scheduler.period
    }
}

/// Processors, as sched_setaffinity(2) takes them: 64 a word.
struct CPUMask {
    static func words(_ list: String, _ path: String) throws(SpecError) -> [UInt64] {
        guard let numbers = NumberList.numbers(in: list) else {
            throw SpecError(path: path, message: "is no list of processors such as 0-3,7")
        }
        var words: [UInt64] = []
        for number in numbers {
            while words.count <= number / 64 { words.append(0) }
            words[number / 64] |= 1 << UInt64(number % 64)
        }
        return words
    }
}

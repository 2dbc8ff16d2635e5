import JSON

// The names of `process.scheduler`, `process.ioPriority` and lists of processors, and what they mean to the kernel.
extension Process.Scheduler {
    public static let policies: [String: UInt32] = [
        "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
        "SCHED_DEADLINE": 6,
    ]

    public static let flagNumbers: [String: UInt64] = [
        "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
        "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
        "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
    ]

    /// As runc has it: what a policy does not know must not be said.
    func validate(path: String) throws(SpecError) {
        guard Self.policies[policy] != nil else {
            throw Check.fail("\(path).policy", "unknown scheduling policy \(Check.quoted(policy))")
        }
        for (index, flag) in flags.enumerated() where Self.flagNumbers[flag] == nil {
            throw Check.fail("\(path).flags[\(index)]", "unknown scheduling flag \(Check.quoted(flag))")
        }
        guard (-20...19).contains(nice) else {
            throw Check.fail("\(path).nice", "\(nice) is out of range (-20 to 19)")
        }
        let isRealtime = policy == "SCHED_FIFO" || policy == "SCHED_RR"
        guard isRealtime ? (1...99).contains(priority) : priority == 0 else {
            throw Check.fail(
                "\(path).priority", "\(priority) is not for \(policy) (SCHED_FIFO and SCHED_RR have 1 to 99, others 0)")
        }
        guard policy == "SCHED_DEADLINE" || runtime == 0 && deadline == 0 && period == 0 else {
            throw Check.fail(path, "runtime, deadline and period are for SCHED_DEADLINE only")
        }
    }
}

extension Process.IOPriority {
    /// IOPRIO_CLASS_…
    public static let classes: [String: Int32] = ["IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3]

    /// What ioprio_set(2) takes; nil: the class is unknown.
    public var value: Int32? { Self.classes[`class`].map { $0 << 13 | Int32(clamping: priority) } }

    func validate(path: String) throws(SpecError) {
        guard Self.classes[`class`] != nil else {
            throw Check.fail("\(path).class", "unknown class of I/O priority \(Check.quoted(`class`))")
        }
        guard (0...7).contains(priority) else {
            throw Check.fail("\(path).priority", "\(priority) is out of range (0 to 7)")
        }
    }
}

/// A list of processors or memory nodes: "0-3,7".
public enum NumberList {
    /// More than any kernel has.
    static let most = 8192
    /// Bytes: the kernel takes a page.
    static let longest = 4096

    /// Those numbers; nil when it is no such list.
    public static func numbers(in list: String) -> Set<Int>? {
        guard list.utf8.count <= longest else { return nil }
        var seen = Set<Int>()
        for part in list.split(whereSeparator: { $0 == "," || $0 == " " }) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first >= 0,
                last >= first, last < most
            else { return nil }
            seen.formUnion(first...last)
        }
        return seen.isEmpty ? nil : seen
    }
}

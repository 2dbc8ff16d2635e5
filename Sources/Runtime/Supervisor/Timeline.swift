import JSON
import LinuxSys

/// A moment on the way of a container.
public struct TimelineMark: Equatable, Sendable {
    public enum Name: String, CaseIterable, Sendable {
        case commandStarted, supervisorStarted, hypervisorStarted, kernelEntered, agentReady, rootfsMounted
        case processCreated, processStarted, firstByte, processExited, outputDelivered, machineEnded
    }

    public var name: Name
    /// The host's CLOCK_MONOTONIC, nanoseconds.
    public var time: UInt64

    init(_ name: Name, _ time: UInt64) {
        self.name = name
        self.time = time
    }

    var json: JSONValue { ["name": .string(name.rawValue), "time": JSONValue(time)] }

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        guard let known = Name(rawValue: try fields["name"].string()) else {
            throw fields["name"].error("unknown mark")
        }
        name = known
        time = try fields["time"].int()
    }
}

/// When what happened between the command's start and its end.
public struct Timeline: Sendable {
    private var times: [TimelineMark.Name: UInt64] = [:]
    /// Microseconds of processor time by process.
    var processorTimes: [String: UInt64] = [:]

    init() {}

    /// The first time counts.
    mutating func mark(_ name: TimelineMark.Name, _ time: UInt64 = Clock.monotonicNanoseconds()) {
        if times[name] == nil { times[name] = time }
    }

    mutating func add(_ marks: [TimelineMark]) { for mark in marks { self.mark(mark.name, mark.time) } }

    var marks: [TimelineMark] { times.map { TimelineMark($0.key, $0.value) }.sorted { $0.time < $1.time } }

    /// From one mark to another, in the words of a person.
    struct Phase: Equatable {
        let title: String
        /// The track: the host's own work, or the guest's.
        let guest: Bool
        let begin: UInt64
        let end: UInt64
    }

    private static let plan: [(String, Bool, TimelineMark.Name, TimelineMark.Name)] = [
        ("own start", false, .commandStarted, .supervisorStarted),
        ("start of the machine's processes", false, .supervisorStarted, .hypervisorStarted),
        ("QEMU: load the kernel", false, .hypervisorStarted, .kernelEntered),
        ("kernel and agent: boot", true, .kernelEntered, .agentReady),
        ("agent: mount the rootfs", true, .agentReady, .rootfsMounted),
        ("agent: make the container", true, .rootfsMounted, .processCreated),
        ("start the process", true, .processCreated, .processStarted),
        ("process: until its first byte", true, .processStarted, .firstByte),
        ("process: run", true, .processStarted, .processExited),
        ("deliver the last output", false, .processExited, .outputDelivered),
        ("power off", true, .outputDelivered, .machineEnded),
    ]

    var phases: [Phase] {
        Self.plan.compactMap { title, guest, from, to in
            guard let begin = times[from], let end = times[to] else { return nil }
            return Phase(title: title, guest: guest, begin: begin, end: max(begin, end))
        }
    }

    /// The trace event format that Perfetto and chrome://tracing open.
    public func trace(id: String) -> JSONValue {
        let start = times.values.min() ?? 0
        var events: [JSONValue] = [
            Self.name("process_name", 0, "kvm-runtime \(id)"), Self.name("thread_name", 1, "host"),
            Self.name("thread_name", 2, "guest"),
        ]
        for phase in phases {
            events.append([
                "name": .string(phase.title), "cat": "phase", "ph": "X", "pid": 1,
                "tid": .integer(phase.guest ? 2 : 1), "ts": .number(Double(phase.begin - start) / 1000),
                "dur": .number(Double(phase.end - phase.begin) / 1000),
            ])
        }
        let used = processorTimes.map { ($0.key, JSONValue.number(Double($0.value) / 1000)) }
        return [
            "traceEvents": .array(events), "displayTimeUnit": "ms",
            "otherData": ["processorMilliseconds": .object(JSONObject(sorted: used))],
        ]
    }

    private static func name(_ kind: String, _ thread: Int64, _ name: String) -> JSONValue {
        ["name": .string(kind), "ph": "M", "pid": 1, "tid": .integer(thread), "args": ["name": .string(name)]]
    }

    /// A short table: milliseconds from the command's start, and how long each phase took.
    public var table: String {
        guard let start = times.values.min() else { return "" }
        var text = "    from       ms  phase\n"
        for phase in phases {
            text += Self.column(phase.begin - start) + Self.column(phase.end - phase.begin) + "  " + phase.title + "\n"
        }
        for (name, microseconds) in processorTimes.sorted(by: { $0.key < $1.key }) {
            text +=
                "         " + Self.column(microseconds.multipliedReportingOverflow(by: 1000).partialValue)
                + "  processor time: " + name + "\n"
        }
        return text
    }

    private static func column(_ nanoseconds: UInt64) -> String {
        let tenths = nanoseconds / 100_000 + (nanoseconds % 100_000 >= 50_000 ? 1 : 0)
        let text = "\(tenths / 10).\(tenths % 10)"
        return String(repeating: " ", count: max(1, 9 - text.count)) + text
    }
}

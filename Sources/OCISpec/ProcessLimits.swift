import JSON

extension Process {
    /// The five sets of capabilities, by name (config.md, "Linux Process").
    public struct Capabilities: SpecObject {
        public var bounding: [String] = []
        public var effective: [String] = []
        public var inheritable: [String] = []
        public var permitted: [String] = []
        public var ambient: [String] = []

        public init() {}

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            bounding = try fields["bounding"].strings()
            effective = try fields["effective"].strings()
            inheritable = try fields["inheritable"].strings()
            permitted = try fields["permitted"].strings()
            ambient = try fields["ambient"].strings()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("bounding", ifNotEmpty: bounding)
            members.put("effective", ifNotEmpty: effective)
            members.put("inheritable", ifNotEmpty: inheritable)
            members.put("permitted", ifNotEmpty: permitted)
            members.put("ambient", ifNotEmpty: ambient)
            return members.json
        }
    }

    /// A resource limit (config.md, "POSIX process", rlimits). Units are those of setrlimit(2).
    public struct Rlimit: SpecObject {
        /// "RLIMIT_NOFILE"
        public var type: String
        /// `UInt64.max` is "unlimited".
        public var hard: UInt64
        public var soft: UInt64

        public init(type: String, hard: UInt64, soft: UInt64) {
            self.type = type
            self.hard = hard
            self.soft = soft
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            type = try fields["type"].string()
            hard = try fields["hard"].int()
            soft = try fields["soft"].int()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("type", type)
            members.put("hard", hard)
            members.put("soft", soft)
            return members.json
        }
    }

    /// Scheduling, for sched_setattr(2).
    public struct Scheduler: SpecObject {
        /// "SCHED_OTHER"
        public var policy: String
        public var nice: Int32
        public var priority: Int32
        public var flags: [String]
        /// Nanoseconds; of SCHED_DEADLINE, as are the two that follow.
        public var runtime: UInt64
        public var deadline: UInt64
        public var period: UInt64

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            policy = try fields["policy"].string()
            nice = try fields["nice"].int(or: 0)
            priority = try fields["priority"].int(or: 0)
            flags = try fields["flags"].strings()
            runtime = try fields["runtime"].int(or: 0)
            deadline = try fields["deadline"].int(or: 0)
            period = try fields["period"].int(or: 0)
        }

        public var json: JSONValue {
            var members = Members()
            members.put("policy", policy)
            members.put("nice", ifNotZero: nice)
            members.put("priority", ifNotZero: priority)
            members.put("flags", ifNotEmpty: flags)
            members.put("runtime", ifNotZero: runtime)
            members.put("deadline", ifNotZero: deadline)
            members.put("period", ifNotZero: period)
            return members.json
        }
    }

    /// The class and priority of input and output, for ioprio_set(2).
    public struct IOPriority: SpecObject {
        /// "IOPRIO_CLASS_BE"
        public var `class`: String
        /// 0 to 7
        public var priority: Int

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            `class` = try fields["class"].string()
            priority = try fields["priority"].int(or: 0)
        }

        public var json: JSONValue {
            var members = Members()
            members.put("class", `class`)
            members.put("priority", priority)
            return members.json
        }
    }

    /// The processors of an exec, as lists: "0-3,7".
    public struct ExecCPUAffinity: SpecObject {
        /// Before the process enters the container's cgroup.
        public var initial: String
        /// After that.
        public var final: String

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            initial = try fields["initial"].string(or: "")
            final = try fields["final"].string(or: "")
        }

        public var json: JSONValue {
            var members = Members()
            members.put("initial", ifNotEmpty: initial)
            members.put("final", ifNotEmpty: final)
            return members.json
        }
    }
}

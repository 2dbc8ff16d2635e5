import JSON

extension Linux {
    /// Limits of the container's cgroup (config-linux.md, "Control groups"); also what `update` is given.
    public struct Resources: SpecObject {
        public var devices: [DeviceRule] = []
        public var memory: Memory?
        public var cpu: CPU?
        public var pids: Pids?
        public var blockIO: BlockIO?
        public var hugepageLimits: [HugepageLimit] = []
        public var network: Network?
        /// By the name of the device.
        public var rdma: [String: Rdma] = [:]
        /// Files of cgroup v2 and what to write to them.
        public var unified: [String: String] = [:]

        public init() {}

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            devices = try fields["devices"].list(of: DeviceRule.init(decoding:))
            memory = try fields.optional("memory", Memory.init(decoding:))
            cpu = try fields.optional("cpu", CPU.init(decoding:))
            pids = try fields.optional("pids", Pids.init(decoding:))
            blockIO = try fields.optional("blockIO", BlockIO.init(decoding:))
            hugepageLimits = try fields["hugepageLimits"].list(of: HugepageLimit.init(decoding:))
            network = try fields.optional("network", Network.init(decoding:))
            rdma = try fields["rdma"].map(of: Rdma.init(decoding:))
            unified = try fields["unified"].stringMap()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("devices", ifNotEmpty: devices)
            members.put("memory", ifPresent: memory)
            members.put("cpu", ifPresent: cpu)
            members.put("pids", ifPresent: pids)
            members.put("blockIO", ifPresent: blockIO)
            members.put("hugepageLimits", ifNotEmpty: hugepageLimits)
            members.put("network", ifPresent: network)
            members.put("rdma", ifNotEmpty: rdma)
            members.put("unified", ifNotEmpty: unified)
            return members.json
        }
    }
}

extension Linux.Resources {
    /// Bytes; -1 is "no limit"; nil: not said.
    public struct Memory: SpecObject {
        public var limit: Int64?
        /// The soft limit.
        public var reservation: Int64?
        /// Memory and swap together.
        public var swap: Int64?
        public var kernel: Int64?
        public var kernelTCP: Int64?
        /// 0 to 100
        public var swappiness: UInt64?
        public var disableOOMKiller: Bool?
        public var useHierarchy: Bool?
        public var checkBeforeUpdate: Bool?

        public init() {}

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            limit = try fields["limit"].optionalInt()
            reservation = try fields["reservation"].optionalInt()
            swap = try fields["swap"].optionalInt()
            kernel = try fields["kernel"].optionalInt()
            kernelTCP = try fields["kernelTCP"].optionalInt()
            swappiness = try fields["swappiness"].optionalInt()
            disableOOMKiller = try fields["disableOOMKiller"].optionalBool()
            useHierarchy = try fields["useHierarchy"].optionalBool()
            checkBeforeUpdate = try fields["checkBeforeUpdate"].optionalBool()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("limit", ifPresent: limit)
            members.put("reservation", ifPresent: reservation)
            members.put("swap", ifPresent: swap)
            members.put("kernel", ifPresent: kernel)
            members.put("kernelTCP", ifPresent: kernelTCP)
            members.put("swappiness", ifPresent: swappiness)
            members.put("disableOOMKiller", ifPresent: disableOOMKiller)
            members.put("useHierarchy", ifPresent: useHierarchy)
            members.put("checkBeforeUpdate", ifPresent: checkBeforeUpdate)
            return members.json
        }
    }

    /// Times are microseconds; nil: not said.
    public struct CPU: SpecObject {
        /// The weight of cgroup v1: 2 to 262144, 1024 is normal.
        public var shares: UInt64?
        /// Time allowed in a period; -1 is "no limit".
        public var quota: Int64?
        public var burst: UInt64?
        public var period: UInt64?
        public var realtimeRuntime: Int64?
        public var realtimePeriod: UInt64?
        /// A list of processors: "0-3,7". Empty: all.
        public var cpus = ""
        /// A list of memory nodes. Empty: all.
        public var mems = ""
        /// 1: SCHED_IDLE
        public var idle: Int64?

        public init() {}

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            shares = try fields["shares"].optionalInt()
            quota = try fields["quota"].optionalInt()
            burst = try fields["burst"].optionalInt()
            period = try fields["period"].optionalInt()
            realtimeRuntime = try fields["realtimeRuntime"].optionalInt()
            realtimePeriod = try fields["realtimePeriod"].optionalInt()
            cpus = try fields["cpus"].string(or: "")
            mems = try fields["mems"].string(or: "")
            idle = try fields["idle"].optionalInt()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("shares", ifPresent: shares)
            members.put("quota", ifPresent: quota)
            members.put("burst", ifPresent: burst)
            members.put("period", ifPresent: period)
            members.put("realtimeRuntime", ifPresent: realtimeRuntime)
            members.put("realtimePeriod", ifPresent: realtimePeriod)
            members.put("cpus", ifNotEmpty: cpus)
            members.put("mems", ifNotEmpty: mems)
            members.put("idle", ifPresent: idle)
            return members.json
        }
    }

    public struct Pids: SpecObject {
        /// Processes and threads; -1 is "no limit"; nil: not said. (0 was "not said" before 1.3.)
        public var limit: Int64?

        public init(limit: Int64? = nil) {
            self.limit = limit
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            limit = try cursor.object()["limit"].optionalInt()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("limit", ifPresent: limit)
            return members.json
        }
    }
}

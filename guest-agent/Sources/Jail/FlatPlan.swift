import AgentProtocol
import CJail
import CLinux
import LinuxSys

/// A plan as C has it: structs, strings and arrays at fixed addresses, freed with this object. Texts stay where they lie
/// in the host's message. The one place of the agent that handles pointers.
public final class FlatPlan {
    private var allocations: [UnsafeMutableRawPointer] = []
    private var plan = cjail_plan()
    /// A copy of the host's message.
    private let bytes: UnsafeMutablePointer<UInt8>
    /// Where the rootfs is mounted in the guest.
    public let root: String

    /// Lays out what the host sent (`JailPlan.encoded`). `share` is where the share is mounted, `root` a directory to
    /// mount the rootfs on.
    public init(_ message: [UInt8], share: String, root: String, sockets: String = "") throws(WireError) {
        bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, message.count))
        bytes.initialize(from: message, count: message.count)
        self.root = root
        plan.cgroup = -1
        plan.share = UnsafePointer(copy(share))
        plan.root = UnsafePointer(copy(root))
        plan.sockets = UnsafePointer(copy(sockets))
        var reader = WireReader(message[...])
        plan.namespaces = try reader.integer()
        plan.rootfs = try text(&reader, "rootfs")
        plan.root_readonly = try reader.bool("rootReadOnly") ? 1 : 0
        plan.root_propagation = try reader.integer()
        plan.time_offsets = try text(&reader, "timeOffsets")
        plan.uid_map = try text(&reader, "uidMap", limit: WireLimit.argument)
        plan.gid_map = try text(&reader, "gidMap", limit: WireLimit.argument)
        plan.op_count = try reader.count("operations")
        plan.ops = UnsafePointer(
            try array(plan.op_count, of: cjail_op()) { () throws(WireError) in try operation(&reader) })
        plan.late_count = try reader.count("lateOperations", limit: plan.op_count)
        try readProcess(&reader)
        try reader.finish()
    }

    deinit {
        bytes.deallocate()
        for allocation in allocations { free(allocation) }
    }

    /// Whether its mounts vanish by themselves.
    public var hasMountNamespace: Bool { plan.namespaces & NamespaceFlag.mount != 0 }
    /// Whether its processes all end with the first one.
    public var hasPIDNamespace: Bool { plan.namespaces & NamespaceFlag.pid != 0 }
    public var hasNetworkNamespace: Bool { plan.namespaces & NamespaceFlag.network != 0 }
    /// Its root is not the guest's.
    public var hasUserNamespace: Bool { (plan.namespaces | joined) & NamespaceFlag.user != 0 }
    /// It lives in another container's network namespace.
    public var joinsNetwork: Bool { joined & NamespaceFlag.network != 0 }
    /// The namespaces that it has of others.
    private var joined: UInt64 = 0
    /// Their inits, until the child has been made.
    private var inits: [SharedDescriptor] = []

    /// Has the child live in namespaces of others; each `init` is a pidfd.
    public func join(_ given: [(init: SharedDescriptor, namespaces: UInt64)]) {
        // Who is in another user namespace may not enter those of the guest any more.
        let others =
            given.filter { $0.namespaces & NamespaceFlag.user == 0 }
            + given.filter { $0.namespaces & NamespaceFlag.user != 0 }
        inits = others.map { $0.`init` }
        joined = others.reduce(0) { $0 | $1.namespaces }
        let joins = UnsafeMutablePointer<cjail_join>.allocate(capacity: max(1, others.count))
        allocations.append(UnsafeMutableRawPointer(joins))
        for (index, other) in others.enumerated() {
            joins[index] = cjail_join(init: other.`init`.raw, namespaces: other.namespaces)
        }
        plan.joins = UnsafePointer(joins)
        plan.join_count = others.count
    }

    /// Has the child keep the network namespace that it is made in, as its own.
    public func keepNetwork() { plan.namespaces &= ~NamespaceFlag.network }

    /// Makes the child; `cgroup` is a descriptor, -1 for none.
    func spawn(stdio: [CInt?], passed: [PassedEnd], cgroup: CInt, sync: CInt) -> pid_t {
        take(stdio, passed)
        plan.cgroup = cgroup
        defer { inits = [] }
        return cjail_spawn(&plan, sync)
    }

    /// Makes a process beside `init`, a pidfd, in the namespaces and the root of `container`'s plan.
    func join(
        _ container: FlatPlan, init: CInt, stdio: [CInt?], passed: [PassedEnd], cgroup: CInt, sync: CInt
    ) -> pid_t {
        plan.namespaces = container.plan.namespaces | container.joined
        take(stdio, passed)
        plan.cgroup = cgroup
        return cjail_join(&plan, `init`, sync)
    }

    private func take(_ stdio: [CInt?], _ passed: [PassedEnd]) {
        func end(_ index: Int) -> CInt { index < stdio.count ? stdio[index] ?? -1 : -1 }
        plan.stdio = (end(0), end(1), end(2))
        let ends = UnsafeMutablePointer<cjail_passed>.allocate(capacity: max(1, passed.count))
        allocations.append(UnsafeMutableRawPointer(ends))
        for (index, end) in passed.enumerated() {
            switch end {
            case .descriptor(let descriptor):
                ends[index] = cjail_passed(fd: descriptor.raw, path: nil, flags: 0, offset: 0)
            case .file(let path, let flags, let offset):
                ends[index] = cjail_passed(
                    fd: -1, path: UnsafePointer(copy(path)), flags: CInt(bitPattern: flags), offset: offset)
            }
        }
        plan.passed = ends
        plan.passed_count = passed.count
    }

    private func readProcess(_ reader: inout WireReader) throws(WireError) {
        plan.arguments = UnsafePointer(try texts(&reader, "arguments", spare: 1))
        // The free slot behind the end is for HOME.
        plan.environment = try texts(&reader, "environment", spare: 2)
        plan.cwd = try text(&reader, "cwd")
        plan.terminal = try reader.bool("terminal") ? 1 : 0
        plan.rows = try reader.integer()
        plan.columns = try reader.integer()
        plan.uid = try reader.integer()
        plan.gid = try reader.integer()
        plan.stdio_owner = try reader.integer()
        plan.group_count = try reader.count("groups", limit: WireLimit.arguments)
        plan.groups = UnsafePointer(
            try array(plan.group_count, of: UInt32(0)) { () throws(WireError) in try reader.integer() })
        if let umask: UInt32 = try reader.optional("umask") {
            plan.has_umask = 1
            plan.umask = umask
        }
        plan.no_new_privileges = try reader.bool("noNewPrivileges") ? 1 : 0
        plan.bounding = try reader.integer()
        plan.effective = try reader.integer()
        plan.permitted = try reader.integer()
        plan.inheritable = try reader.integer()
        plan.ambient = try reader.integer()
        plan.limit_count = try reader.count("limits")
        plan.limits = UnsafePointer(
            try array(plan.limit_count, of: cjail_limit()) { () throws(WireError) in
                cjail_limit(resource: try reader.integer(), soft: try reader.integer(), hard: try reader.integer())
            })
        let filter = try reader.span("filter", limit: 8 * Int(UInt16.max))
        plan.filter = UnsafeRawPointer(bytes + filter.offset)
        plan.filter_count = UInt16(filter.count / 8)
        plan.filter_flags = try reader.integer()
        try readScheduling(&reader)
        plan.state_head = try text(&reader, "state", limit: WireLimit.plan)
        plan.state_tail = try text(&reader, "state", limit: WireLimit.plan)
        plan.hook_count = try reader.count("hooks")
        plan.hooks = UnsafePointer(
            try array(plan.hook_count, of: cjail_hook()) { () throws(WireError) in try hook(&reader) })
    }

    private func readScheduling(_ reader: inout WireReader) throws(WireError) {
        if let score: Int32 = try reader.optional("oomScore") {
            plan.has_oom_score = 1
            plan.oom_score = score
        }
        if try reader.bool("scheduling") {
            plan.has_scheduling = 1
            plan.scheduling.policy = try reader.integer()
            plan.scheduling.flags = try reader.integer()
            plan.scheduling.nice = try reader.integer()
            plan.scheduling.priority = try reader.integer()
            plan.scheduling.runtime = try reader.integer()
            plan.scheduling.deadline = try reader.integer()
            plan.scheduling.period = try reader.integer()
        }
        if let priority: Int32 = try reader.optional("ioPriority") {
            plan.has_io_priority = 1
            plan.io_priority = priority
        }
        if let personality: UInt64 = try reader.optional("personality") {
            plan.has_personality = 1
            plan.personality = personality
        }
        if try reader.bool("memoryPolicy") {
            plan.has_memory_policy = 1
            plan.memory_mode = try reader.integer()
            plan.memory_nodes = try reader.integer()
        }
        plan.initial_cpu_words = try reader.count("initialCPUs")
        plan.initial_cpus = UnsafePointer(
            try array(plan.initial_cpu_words, of: UInt64(0)) { () throws(WireError) in try reader.integer() })
        plan.final_cpu_words = try reader.count("finalCPUs")
        plan.final_cpus = UnsafePointer(
            try array(plan.final_cpu_words, of: UInt64(0)) { () throws(WireError) in try reader.integer() })
    }

    private func hook(_ reader: inout WireReader) throws(WireError) -> cjail_hook {
        cjail_hook(
            path: try text(&reader, "hook"),
            arguments: UnsafePointer(try texts(&reader, "hook's arguments", spare: 1)),
            environment: UnsafePointer(try texts(&reader, "hook's environment", spare: 1)),
            timeout: try reader.integer())
    }

    private func operation(_ reader: inout WireReader) throws(WireError) -> cjail_op {
        var op = cjail_op()
        op.kind = try reader.integer()
        op.option = try reader.bool("option") ? 1 : 0
        op.flags = try reader.integer()
        op.attr_set = try reader.integer()
        op.attr_clear = try reader.integer()
        op.rattr_set = try reader.integer()
        op.rattr_clear = try reader.integer()
        op.rdev = try reader.integer()
        op.mode = try reader.integer()
        op.uid = try reader.integer()
        op.gid = try reader.integer()
        op.source = try text(&reader, "source")
        op.target = try text(&reader, "target")
        op.type = try text(&reader, "type")
        op.data = try text(&reader, "data")
        return op
    }

    private func text(_ reader: inout WireReader, _ field: String, limit: Int = WireLimit.text) throws(WireError)
        -> UnsafePointer<CChar>
    {
        let offset = try reader.terminated(field, limit: limit)
        return UnsafeRawPointer(bytes + offset).assumingMemoryBound(to: CChar.self)
    }

    /// Pointers to texts, then `spare` times NULL.
    private func texts(_ reader: inout WireReader, _ field: String, spare: Int) throws(WireError)
        -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    {
        let count = try reader.count(field, limit: WireLimit.arguments)
        var left = count
        return try array(count + spare, of: nil) { () throws(WireError) in
            guard left > 0 else { return nil }
            left -= 1
            return UnsafeMutablePointer(mutating: try text(&reader, field, limit: WireLimit.argument))
        }
    }

    private func array<Element>(
        _ count: Int, of empty: Element, _ next: () throws(WireError) -> Element
    ) throws(WireError) -> UnsafeMutablePointer<Element> {
        let elements = UnsafeMutablePointer<Element>.allocate(capacity: max(1, count))
        elements.initialize(repeating: empty, count: max(1, count))
        allocations.append(UnsafeMutableRawPointer(elements))
        for index in 0..<count { elements[index] = try next() }
        return elements
    }

    private func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
        guard let copy = strdup(text) else { return nil }
        allocations.append(UnsafeMutableRawPointer(copy))
        return copy
    }
}

import OCISpec

/// The process to become.
public struct JailProcess: Equatable, Sendable {
    public struct Limit: Equatable, Sendable {
        public var resource: Int32
        public var soft: UInt64
        public var hard: UInt64
    }

    public var arguments: [String]
    public var environment: [String]
    public var cwd: String
    /// Rows and columns; nil: no terminal. Zero leaves the size to the kernel.
    public var terminal: TerminalSize?
    public var uid: UInt32
    public var gid: UInt32
    /// What the uid is outside of the container's user namespace.
    public var outerUID: UInt32
    public var groups: [UInt32]
    public var umask: UInt32?
    public var noNewPrivileges: Bool
    public var capabilities: CapabilitySets
    public var limits: [Limit]
    /// nil: the guest's own.
    public var oomScore: Int32?
    public var scheduling: SchedulingAttributes?
    /// Of ioprio_set(2).
    public var ioPriority: Int32?
    /// Of personality(2).
    public var personality: UInt64?
    /// nil: the guest's own.
    public var memoryPolicy: MemoryPolicy?
    /// The guest's processors, 64 a word, while an exec enters the container, and after that; empty: as they are.
    public var initialCPUs: [UInt64] = []
    public var finalCPUs: [UInt64] = []
    /// nil: every system call is allowed.
    public var filter: SeccompFilter?
}

/// The size of a terminal, in characters.
public struct TerminalSize: Equatable, Sendable {
    public var rows: UInt16
    public var columns: UInt16

    public init(rows: UInt16, columns: UInt16) {
        self.rows = rows
        self.columns = columns
    }
}

extension JailProcess {
    /// Of several values of a variable the last counts, where the first one was: getenv(3) would find the first.
    static func withoutDoubles(_ environment: [String]) -> [String] {
        var result: [String] = []
        var places: [[UInt8]: Int] = [:]
        for variable in environment {
            let name = Array(variable.utf8.prefix { $0 != UInt8(ascii: "=") })
            if let place = places[name] {
                result[place] = variable
            } else {
                places[name] = result.count
                result.append(variable)
            }
        }
        return result
    }

    public init(
        _ process: Process, terminal: TerminalSize?, personality: Linux.Personality? = nil,
        memoryPolicy: Linux.MemoryPolicy? = nil, uidMappings: [IDMapping] = [], filter: SeccompFilter? = nil
    ) throws(SpecError) {
        self.filter = filter
        arguments = process.args
        environment = Self.withoutDoubles(process.env)
        cwd = process.cwd
        self.terminal = terminal
        uid = process.user.uid
        gid = process.user.gid
        outerUID = uidMappings.outer(process.user.uid) ?? process.user.uid
        groups = process.user.additionalGids
        umask = process.user.umask.map { $0 & 0o777 }
        noNewPrivileges = process.noNewPrivileges
        oomScore = process.oomScoreAdj.map { Int32(clamping: $0) }
        scheduling = try process.scheduler.map { scheduler throws(SpecError) in
            try SchedulingAttributes(scheduler)
        }
        ioPriority = process.ioPriority?.value
        self.personality = personality.flatMap { Linux.Personality.domains[$0.domain] }
        self.memoryPolicy = try memoryPolicy.map { policy throws(SpecError) in try MemoryPolicy(policy) }
        if let affinity = process.execCPUAffinity {
            if !affinity.initial.isEmpty {
                initialCPUs = try CPUMask.words(affinity.initial, "process.execCPUAffinity.initial")
            }
            if !affinity.final.isEmpty {
                finalCPUs = try CPUMask.words(affinity.final, "process.execCPUAffinity.final")
            }
        }
        capabilities = try process.capabilities?.sets() ?? CapabilitySets()
        limits = []
        for (index, limit) in process.rlimits.enumerated() {
            guard let resource = limit.resource else {
                throw SpecError(path: "process.rlimits[\(index)].type", message: "is unknown")
            }
            limits.append(Limit(resource: resource, soft: limit.soft, hard: limit.hard))
        }
    }
}

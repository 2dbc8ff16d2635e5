import OCISpec

/// Everything that the guest's child does between clone and exec: a container's configuration made concrete.
public struct JailPlan: Sendable {
    /// CLONE_NEW… flags.
    public var namespaces: UInt64 = 0
    /// The rootfs, a path below the root of the guest's share, without a leading slash.
    public var rootfs: String
    public var rootReadOnly = false
    public var rootPropagation: MountFlags = []
    /// For /proc/self/timens_offsets: a line a clock.
    public var timeOffsets = ""
    /// Of a new user namespace, as /proc/PID/uid_map has them: a line a range.
    public var uidMap = ""
    public var gidMap = ""
    public var operations: [JailOperation] = []
    /// How many of the operations, from the end, wait until terminal and working directory are there.
    public var lateOperations = 0
    public var process: JailProcess
    /// Programs of the container's that run before its own.
    public var hooks: [Hook] = []
    /// The container's state for them, as JSON, without its pid: what comes before that, and after it.
    public var state = (head: "", tail: "")

    public struct Hook: Equatable, Sendable {
        public var path: String
        public var arguments: [String]
        public var environment: [String]
        /// Seconds; 0: none.
        public var timeout: UInt32
    }

    public init(rootfs: String, process: JailProcess) {
        self.rootfs = rootfs
        self.process = process
    }
}

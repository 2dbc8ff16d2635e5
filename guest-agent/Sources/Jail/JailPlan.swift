import OCISpec

/// Everything that the child does between clone and exec: a container's configuration made concrete for the guest.
public struct JailPlan: Equatable, Sendable {
    /// CLONE_NEW… flags.
    public var namespaces: UInt64 = 0
    /// Where the share is mounted in the guest.
    public var share: String
    /// Below the share.
    public var rootfs: String
    /// A directory of the guest, on which the rootfs is mounted.
    public var root: String
    public var rootReadOnly = false
    public var rootPropagation: MountFlags = []
    public var operations: [JailOperation] = []
    public var process: JailProcess

    public init(share: String, rootfs: String, root: String, process: JailProcess) {
        self.share = share
        self.rootfs = rootfs
        self.root = root
        self.process = process
    }

    /// Whether the container has its own process ids, and so ends as a whole when its first process does.
    public var hasPIDNamespace: Bool { namespaces & NamespaceFlag.pid != 0 }

    /// Whether its mounts vanish by themselves.
    public var hasMountNamespace: Bool { namespaces & NamespaceFlag.mount != 0 }
    /// Whether its processes all end with the first one.
    public var hasPidNamespace: Bool { namespaces & NamespaceFlag.pid != 0 }
    public var hasNetworkNamespace: Bool { namespaces & NamespaceFlag.network != 0 }

    /// Has the child keep the network namespace that it is made in, as its own.
    public mutating func keepNetwork() { namespaces &= ~NamespaceFlag.network }
}

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
    public var groups: [UInt32]
    public var umask: UInt32?
    public var noNewPrivileges: Bool
    public var capabilities: CapabilitySets
    public var limits: [Limit]
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

/// The flags of clone(2), by the names of the specification.
enum NamespaceFlag {
    static let mount: UInt64 = 0x0002_0000
    static let cgroup: UInt64 = 0x0200_0000
    static let uts: UInt64 = 0x0400_0000
    static let ipc: UInt64 = 0x0800_0000
    static let pid: UInt64 = 0x2000_0000
    static let network: UInt64 = 0x4000_0000

    /// nil: the guest can't make one.
    static func of(_ kind: Linux.Namespace.Kind) -> UInt64? {
        switch kind {
        case .mount: mount
        case .cgroup: cgroup
        case .uts: uts
        case .ipc: ipc
        case .pid: pid
        case .network: network
        case .user, .time: nil
        }
    }
}

/// What a step of a container's making does. The numbers are those of the guest's C child (`CJail.h`), which says what
/// each step's fields mean.
public enum JailOperationKind: UInt32, CaseIterable, Sendable {
    case mount = 1
    case bind, remount, attributes, propagation, device, symlink, copyUp, mask, readOnly, sysctl, loopback, hostname
    case domainname, socket, guestDevices
}

/// Where the child between clone and exec is. The numbers are those of `CJail.h`.
public enum JailStep: UInt32, CaseIterable, Sendable {
    case namespaces = 1
    case rootfs, operation, pivot, terminal, stdio, limits, cwd, capabilities, groups, user, lookup, sync, exec, join,
        seccomp, hook, oomScore, scheduler, ioPriority, personality, affinity, timeOffsets,
        idMaps, memoryPolicy
}

/// What the child failed at. The host has the plan, and so the words for it.
public struct StepFailure: Error, Equatable, Sendable {
    /// A `JailStep`; another number is a step that this side does not know.
    public var step: UInt32
    /// Which operation, or which limit.
    public var index: UInt32
    /// The error number of the system call.
    public var errno: Int32

    public init(step: UInt32, index: UInt32, errno: Int32) {
        self.step = step
        self.index = index
        self.errno = errno
    }

    func write(to writer: inout WireWriter) {
        writer.put(step)
        writer.put(index)
        writer.put(errno)
    }

    init(from reader: inout WireReader) throws(WireError) {
        step = try reader.integer()
        index = try reader.integer()
        errno = try reader.integer()
    }
}

/// Namespaces of another container of the guest, for a container to live in.
public struct NamespaceJoin: Equatable, Sendable {
    public var container: String
    /// `NamespaceFlag`s.
    public var namespaces: UInt64

    public init(container: String, namespaces: UInt64) {
        self.container = container
        self.namespaces = namespaces
    }

    func write(to writer: inout WireWriter) {
        writer.put(container)
        writer.put(namespaces)
    }

    init(from reader: inout WireReader) throws(WireError) {
        container = try reader.container()
        namespaces = try reader.integer()
    }
}

/// How a hook of the guest's failed: what `StepFailure.errno` says where it is no error number. As `CJail.h` has them.
public enum HookOutcome {
    public static let exited: Int32 = 0x1000
    public static let signaled: Int32 = 0x2000
    public static let timedOut: Int32 = 0x3000
    /// What the code or the signal is in.
    public static let detail: Int32 = 0xff
}

/// One file of a cgroup and what to write to it.
public struct CgroupSetting: Equatable, Sendable {
    public var file: String
    public var value: String
    /// A kernel without the file may be content: what was asked for is what it does anyhow.
    public var isOptional: Bool

    public init(_ file: String, _ value: String, isOptional: Bool = false) {
        self.file = file
        self.value = value
        self.isOptional = isOptional
    }

    func write(to writer: inout WireWriter) {
        writer.put(file)
        writer.put(value)
        writer.put(isOptional)
    }

    init(from reader: inout WireReader) throws(WireError) {
        file = try reader.text("file", limit: WireLimit.name)
        value = try reader.text("value")
        isOptional = try reader.bool("isOptional")
    }
}

/// The flags of clone(2), by the names of the specification.
public enum NamespaceFlag {
    public static let mount: UInt64 = 0x0002_0000
    public static let cgroup: UInt64 = 0x0200_0000
    public static let uts: UInt64 = 0x0400_0000
    public static let ipc: UInt64 = 0x0800_0000
    public static let pid: UInt64 = 0x2000_0000
    public static let network: UInt64 = 0x4000_0000
    public static let time: UInt64 = 0x80
    public static let user: UInt64 = 0x1000_0000
}

import AgentProtocol
import OCISpec

/// What the sandbox adds to a configuration: where things are.
public struct JailPlace: Equatable, Sendable {
    /// The rootfs: below the share, or a disk (`JailDisk.source`).
    public var rootfs: String
    /// Where the sources of bind mounts are, below the share; by their index in `mounts`.
    public var binds: [Int: String]
    /// Those mounts whose sources are Unix sockets of the host.
    public var sockets: Set<Int>
    /// Those whose sources are devices that the guest has by itself.
    public var devices: [Int: JailOperation.Node] = [:]
    /// What the mounts on the host that the sources are in do not allow.
    public var inherited: [Int: MountAttributes] = [:]
    /// Disks at places in the container.
    public var disks: [JailDisk] = []
    /// nil: no terminal.
    public var terminal: TerminalSize?
    /// What `linux.seccomp` was compiled into.
    public var filter: SeccompFilter?

    public init(
        rootfs: String, binds: [Int: String] = [:], sockets: Set<Int> = [], terminal: TerminalSize? = nil,
        filter: SeccompFilter? = nil
    ) {
        self.filter = filter
        self.rootfs = rootfs
        self.binds = binds
        self.sockets = sockets
        self.terminal = terminal
    }
}

extension JailPlan {
    /// Compiles a configuration into the steps that make the container; `spec` has passed `validate()`.
    public init(_ spec: Spec, in place: JailPlace) throws(SpecError) {
        guard let process = spec.process else { throw SpecError(path: "process", message: "is missing") }
        self.init(
            rootfs: place.rootfs,
            process: try JailProcess(
                process, terminal: place.terminal, personality: spec.linux?.personality,
                memoryPolicy: spec.linux?.memoryPolicy, uidMappings: spec.linux?.uidMappings ?? [],
                filter: place.filter))
        let linux = spec.linux ?? Linux()
        namespaces = try Self.namespaces(of: linux)
        rootReadOnly = spec.root?.readonly ?? false
        uidMap = linux.uidMappings.lines
        gidMap = linux.gidMappings.lines
        timeOffsets = linux.timeOffsetLines
        rootPropagation = MountFlags.propagation(named: linux.rootfsPropagation) ?? []

        if namespaces & NamespaceFlag.network != 0 { operations.append(.loopback) }
        var mounts = MountCompiler(place)
        for (index, mount) in spec.guestMounts { try mounts.add(mount, index: index) }
        operations += mounts.operations
        JailDisk.insert(place.disks, into: &operations)
        // A /dev that was bind-mounted is the caller's, with everything in it.
        if !mounts.bindsDev {
            operations +=
                DeviceCompiler.operations(
                    listed: linux.devices, all: DeviceFilter.allowsAll(linux.resources?.devices ?? []))
        }
        operations += Self.identity(spec, linux)
        operations += mounts.atTheEnd
        lateOperations = mounts.atTheEnd.count
        guard operations.count <= WireLimit.entries else {
            throw SpecError(
                path: "mounts",
                message: "and devices, sysctls, masked and read-only paths are \(operations.count) steps; at most "
                    + "\(WireLimit.entries) are allowed")
        }
        hooks = (spec.hooks?.startContainer ?? []).map { hook in
            Hook(
                path: hook.path, arguments: hook.args.isEmpty ? [hook.path] : hook.args, environment: hook.env,
                timeout: UInt32(clamping: hook.timeout ?? 0))
        }
    }

    private static func namespaces(of linux: Linux) throws(SpecError) -> UInt64 {
        var flags: UInt64 = 0
        for (index, namespace) in linux.namespaces.enumerated() {
            let path = "linux.namespaces[\(index)]"
            guard let flag = NamespaceFlag.of(namespace.type) else {
                throw SpecError(path: path, message: "a \(namespace.type.rawValue) namespace is not supported")
            }
            // One with a path is another container's: the sandbox says whose (`CreateContainer.joins`).
            if namespace.path.isEmpty { flags |= flag }
        }
        return flags
    }

    /// Names, kernel parameters, and what is hidden of /proc and /sys: after the mounts, in runc's order.
    private static func identity(_ spec: Spec, _ linux: Linux) -> [JailOperation] {
        var operations: [JailOperation] = []
        if !spec.hostname.isEmpty {
            operations.append(JailOperation(.hostname(spec.hostname), subject: "hostname"))
        }
        if !spec.domainname.isEmpty {
            operations.append(JailOperation(.domainname(spec.domainname), subject: "domainname"))
        }
        for (key, value) in linux.sysctl.sorted(by: { $0.key < $1.key }) {
            guard let file = SysctlKey.path(of: key) else { continue }
            operations.append(
                JailOperation(.sysctl(value: value), target: file, subject: "linux.sysctl \(quoted(key))"))
        }
        for (index, path) in linux.readonlyPaths.enumerated() {
            operations.append(
                JailOperation(.readOnly, target: path, subject: "linux.readonlyPaths[\(index)] \(quoted(path))"))
        }
        for (index, path) in linux.maskedPaths.enumerated() {
            operations.append(
                JailOperation(.mask, target: path, subject: "linux.maskedPaths[\(index)] \(quoted(path))"))
        }
        return operations
    }
}

extension JailOperation {
    static let loopback = JailOperation(.loopback, subject: "the loopback interface")
}

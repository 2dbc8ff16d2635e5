import OCISpec

/// What the guest adds to a configuration: where things are.
public struct JailPlace: Equatable, Sendable {
    /// Where the share is mounted.
    public var share: String
    /// The rootfs, below the share.
    public var rootfs: String
    /// The directory of the guest to mount it on.
    public var root: String
    /// Where the sources of bind mounts are, below the share; by their index in `mounts`.
    public var binds: [Int: String]
    /// nil: no terminal.
    public var terminal: TerminalSize?

    public init(
        share: String, rootfs: String, root: String, binds: [Int: String] = [:], terminal: TerminalSize? = nil
    ) {
        self.share = share
        self.rootfs = rootfs
        self.root = root
        self.binds = binds
        self.terminal = terminal
    }
}

extension JailPlan {
    /// Compiles a configuration into the steps that make the container; `spec` has passed `validate()`, on the host.
    public init(_ spec: Spec, in place: JailPlace) throws(SpecError) {
        guard let process = spec.process else { throw SpecError(path: "process", message: "is missing") }
        self.init(
            share: place.share, rootfs: place.rootfs, root: place.root,
            process: try JailProcess(process, terminal: place.terminal))
        let linux = spec.linux ?? Linux()
        namespaces = try Self.namespaces(of: linux)
        rootReadOnly = spec.root?.readonly ?? false
        rootPropagation = MountFlags.propagation(named: linux.rootfsPropagation) ?? []

        if namespaces & NamespaceFlag.network != 0 { operations.append(.loopback) }
        if let score = process.oomScoreAdj {
            operations.append(JailOperation(.oomScore(score), subject: "process.oomScoreAdj"))
        }
        var mounts = MountCompiler(binds: place.binds)
        for (index, mount) in spec.mounts.enumerated() { try mounts.add(mount, index: index) }
        operations += mounts.operations
        // A /dev that was bind-mounted is the caller's, with everything in it.
        if !mounts.bindsDev { operations += DeviceCompiler.operations(listed: linux.devices) }
        operations += mounts.atTheEnd
        operations += Self.identity(spec, linux)
    }

    private static func namespaces(of linux: Linux) throws(SpecError) -> UInt64 {
        var flags: UInt64 = 0
        for (index, namespace) in linux.namespaces.enumerated() {
            let path = "linux.namespaces[\(index)]"
            guard let flag = NamespaceFlag.of(namespace.type) else {
                throw SpecError(path: path, message: "a \(namespace.type.rawValue) namespace is not supported")
            }
            // The path of a network namespace is the host's business: the guest's side of it is a new one.
            guard namespace.path.isEmpty || namespace.type == .network else {
                throw SpecError(path: path, message: "a namespace of the host can't be joined from inside the guest")
            }
            flags |= flag
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

extension JailProcess {
    init(_ process: Process, terminal: TerminalSize?) throws(SpecError) {
        arguments = process.args
        environment = process.env
        cwd = process.cwd
        self.terminal = terminal
        uid = process.user.uid
        gid = process.user.gid
        groups = process.user.additionalGids
        umask = process.user.umask.map { $0 & 0o777 }
        noNewPrivileges = process.noNewPrivileges
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

/// As Go's %q for what is printable, which is how runc shows paths and names.
func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case "\n": result += "\\n"
        case "\t": result += "\\t"
        case "\r": result += "\\r"
        default:
            if scalar.value < 0x20 || scalar.value == 0x7f {
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.utf8.count < 2 ? "0" : "") + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }
    return result + "\""
}

/// Makes a container, ready to start: namespaces, mounts, cgroup, its init held before exec.
public struct CreateContainer: Equatable, Sendable {
    public var container: String
    /// What the child does between clone and exec: a `JailPlan`, which the host compiles from config.json and the guest
    /// lays out for its C child. This room does not look into it.
    public var plan: [UInt8]
    /// The virtio-fs tag of the share that holds the rootfs and the binds.
    public var shareTag: String
    /// The names of the cgroup's directories, outermost first.
    public var cgroup: [String]
    /// The cgroup's limits, in the order in which they are written.
    public var settings: [CgroupSetting]
    /// The program that decides about devices (BPF_PROG_TYPE_CGROUP_DEVICE), eight bytes an instruction; empty: none.
    public var deviceFilter: [UInt8]
    /// Directories of the share, below its root, whose files the host watches for the guest (inotify).
    public var watched: [String]
    /// Unix sockets of the host that it has.
    public var sockets: [SocketBind]
    /// Namespaces that it has of others.
    public var joins: [NamespaceJoin]
    /// Disks of the machine's that are mounted for it.
    public var disks: [GuestDisk]
    public var stdio: Stdio
    /// Descriptors of its init from 3 on.
    public var passed: [PassedDescriptor]

    /// Of more containers nobody takes namespaces: there are not so many kinds.
    public static let mostJoins = 16

    public init(
        container: String, plan: [UInt8], shareTag: String, cgroup: [String], settings: [CgroupSetting] = [],
        deviceFilter: [UInt8] = [], watched: [String] = [], sockets: [SocketBind] = [],
        joins: [NamespaceJoin] = [], disks: [GuestDisk] = [], stdio: Stdio,
        passed: [PassedDescriptor] = []
    ) {
        self.container = container
        self.plan = plan
        self.shareTag = shareTag
        self.cgroup = cgroup
        self.settings = settings
        self.deviceFilter = deviceFilter
        self.watched = watched
        self.sockets = sockets
        self.joins = joins
        self.disks = disks
        self.stdio = stdio
        self.passed = passed
    }

    func write(to writer: inout WireWriter) {
        writer.put(container)
        writer.put(plan)
        writer.put(shareTag)
        writer.put(cgroup)
        writer.put(settings)
        writer.put(deviceFilter)
        writer.put(watched)
        writer.put(UInt32(truncatingIfNeeded: sockets.count))
        for socket in sockets { socket.write(to: &writer) }
        writer.put(UInt32(truncatingIfNeeded: joins.count))
        for join in joins { join.write(to: &writer) }
        writer.put(UInt32(truncatingIfNeeded: disks.count))
        for disk in disks { disk.write(to: &writer) }
        stdio.write(to: &writer)
        writer.put(passed)
    }

    init(from reader: inout WireReader) throws(WireError) {
        container = try reader.container()
        plan = try reader.bytes("plan", limit: WireLimit.plan)
        shareTag = try reader.text("shareTag", limit: 36)
        cgroup = try reader.texts("cgroup")
        settings = try reader.settings()
        deviceFilter = try reader.bytes("deviceFilter", limit: WireLimit.deviceFilter)
        watched = try reader.texts("watched")
        sockets = []
        for _ in 0..<(try reader.count("sockets")) { sockets.append(try SocketBind(from: &reader)) }
        joins = []
        for _ in 0..<(try reader.count("joins", limit: Self.mostJoins)) {
            joins.append(try NamespaceJoin(from: &reader))
        }
        disks = []
        for _ in 0..<(try reader.count("disks", limit: GuestDisk.most)) {
            disks.append(try GuestDisk(from: &reader))
        }
        stdio = try Stdio(from: &reader)
        passed = try reader.passed()
    }
}

import AgentProtocol
import Glibc
import JSON
import VMDriver

/// What a supervisor is told when it starts; the container's configuration itself is in the state directory.
struct LaunchRequest: Equatable, Sendable {
    /// The numbers of the descriptors that a supervisor inherits, beside 0, 1 and 2: the container's stdio.
    enum Inherited {
        static let channel: CInt = 3
        /// The socket that gets the terminal's master; only with `consoleSocket`.
        static let consoleSocket: CInt = 4
        /// The channel of the init's stand-in.
        static let standIn: CInt = 5
        /// The first of those that the container's process is to have.
        static let passed: CInt = 6
    }

    var root: String
    var id: String
    var bundle: String
    var rootfs: String
    /// Images that the container has as disks.
    var disks: [ContainerDisk] = []
    /// The guest's own root file system; nil: that of its agent's initramfs.
    var image: MachineImage?
    /// The pid of the init's stand-in.
    var standIn = pid_t(0)
    /// The container's cgroup on the host; without places: there is none.
    var cgroup = HostCgroup(places: [])
    /// The container in whose guest it is to be; empty: it has one of its own.
    var sandbox = ""
    /// Namespaces of other containers in the guest that it is to have.
    var joins: [NamespaceJoin] = []
    /// Ends, and removes everything, when whoever launched it goes away (`run` in the foreground).
    var followsLauncher: Bool
    /// Removes the container's directory when the container has ended.
    var removesAtExit: Bool
    var consoleSocket: Bool
    /// The container is made when the launcher says that its hooks have run.
    var waitsForHooks = false
    /// How many descriptors the container's process has behind its stdio; the first `listening` of them are announced to it
    /// as sockets to listen on (LISTEN_FDS).
    var passed = 0
    var listening = 0
    /// Sends the guest's console line by line.
    var debug: Bool
    var accelerated: Bool
    var tscKilohertz: UInt32?
    var vcpus: Int
    var memoryMiB: Int
    var kernelParameters: [String]
    /// Seconds.
    var bootTimeout: Int
    var rootfsCache: VMPlan.FileCache
    var volumeCache: VMPlan.FileCache
    var sharesFileLocks: Bool
    var pollMicroseconds: Int
    var kernel: String
    var initramfs: String
    var vmm: String
    var qemu: String
    /// Options for QEMU, behind our own.
    var hypervisorParameters: [String] = []
    /// Instead of our own file system device.
    var virtiofsd: String?

    var json: JSONValue {
        [
            "root": .string(root), "id": .string(id), "bundle": .string(bundle), "rootfs": .string(rootfs),
            "disks": .array(disks.map(\.json)), "image": image?.json ?? .null, "standIn": JSONValue(standIn),
            "cgroup": cgroup.json,
            "sandbox": .string(sandbox),
            "joins": .array(
                joins.map { ["container": .string($0.container), "namespaces": JSONValue($0.namespaces)] }),
            "followsLauncher": .bool(followsLauncher), "removesAtExit": .bool(removesAtExit),
            "consoleSocket": .bool(consoleSocket), "waitsForHooks": .bool(waitsForHooks), "debug": .bool(debug),
            "passed": JSONValue(passed), "listening": JSONValue(listening),
            "accelerated": .bool(accelerated),
            "tscKilohertz": JSONValue(tscKilohertz ?? 0), "vcpus": JSONValue(vcpus),
            "memoryMiB": JSONValue(memoryMiB), "kernelParameters": JSONValue(kernelParameters),
            "bootTimeout": JSONValue(bootTimeout), "rootfsCache": .string(rootfsCache.rawValue),
            "volumeCache": .string(volumeCache.rawValue), "sharesFileLocks": .bool(sharesFileLocks),
            "pollMicroseconds": JSONValue(pollMicroseconds),
            "kernel": .string(kernel), "initramfs": .string(initramfs),
            "vmm": .string(vmm), "qemu": .string(qemu), "virtiofsd": .string(virtiofsd ?? ""),
            "hypervisorParameters": JSONValue(hypervisorParameters),
        ]
    }

    init(decoding value: JSONValue) throws(JSONFieldError) {
        let fields = try JSONCursor(value).object()
        root = try fields["root"].string()
        id = try fields["id"].string()
        bundle = try fields["bundle"].string()
        rootfs = try fields["rootfs"].string()
        disks = try fields["disks"].list { cursor throws(JSONFieldError) in try ContainerDisk(decoding: cursor) }
        image = try fields["image"].optional(MachineImage.init(decoding:))
        standIn = try fields["standIn"].int()
        cgroup = try HostCgroup(decoding: fields["cgroup"])
        sandbox = try fields["sandbox"].string()
        joins = try fields["joins"].list { cursor throws(JSONFieldError) in
            let join = try cursor.object()
            return NamespaceJoin(
                container: try join["container"].string(), namespaces: try join["namespaces"].int())
        }
        followsLauncher = try fields["followsLauncher"].bool()
        removesAtExit = try fields["removesAtExit"].bool()
        consoleSocket = try fields["consoleSocket"].bool()
        waitsForHooks = try fields["waitsForHooks"].bool()
        passed = try fields["passed"].int(in: 0...PassedDescriptor.most)
        listening = try fields["listening"].int(in: 0...PassedDescriptor.most)
        debug = try fields["debug"].bool()
        accelerated = try fields["accelerated"].bool()
        let frequency: UInt32 = try fields["tscKilohertz"].int()
        tscKilohertz = frequency == 0 ? nil : frequency
        vcpus = try fields["vcpus"].int()
        memoryMiB = try fields["memoryMiB"].int()
        kernelParameters = try fields["kernelParameters"].strings()
        bootTimeout = try fields["bootTimeout"].int(in: 1...86400)
        rootfsCache = VMPlan.FileCache(rawValue: try fields["rootfsCache"].string()) ?? .auto
        volumeCache = VMPlan.FileCache(rawValue: try fields["volumeCache"].string()) ?? .auto
        sharesFileLocks = try fields["sharesFileLocks"].bool()
        pollMicroseconds = try fields["pollMicroseconds"].int(in: Configuration.pollRange)
        kernel = try fields["kernel"].string()
        initramfs = try fields["initramfs"].string()
        vmm = try fields["vmm"].string()
        qemu = try fields["qemu"].string()
        hypervisorParameters = try fields["hypervisorParameters"].strings()
        let path = try fields["virtiofsd"].string()
        virtiofsd = path.isEmpty ? nil : path
    }

    init(
        id: String, root: String, bundle: Bundle, size: GuestSize, configuration: Configuration, assets: Assets,
        accelerated: Bool, tscKilohertz: UInt32?
    ) {
        self.root = root
        self.id = id
        self.bundle = bundle.path
        rootfs = bundle.rootfs
        followsLauncher = false
        removesAtExit = false
        consoleSocket = false
        debug = false
        self.accelerated = accelerated
        self.tscKilohertz = tscKilohertz
        vcpus = size.vcpus
        memoryMiB = size.memoryMiB
        kernelParameters = configuration.kernelParameters
        bootTimeout = configuration.bootTimeout
        rootfsCache = configuration.rootfsCache
        volumeCache = configuration.volumeCache
        sharesFileLocks = configuration.sharesFileLocks
        pollMicroseconds = configuration.pollMicroseconds
        kernel = assets.kernel
        initramfs = assets.initramfs
        vmm = assets.vmm
        qemu = assets.qemu
        virtiofsd = assets.virtiofsd
    }
}

extension LaunchRequest {
    /// What the container's configuration chooses in the place of the administrator's standard.
    mutating func take(_ choice: VMChoice) {
        if let chosen = choice.kernel { kernel = chosen }
        if let chosen = choice.initrd { initramfs = chosen }
        image = choice.image
        if let chosen = choice.hypervisor { qemu = chosen }
        kernelParameters += choice.kernelParameters
        hypervisorParameters = choice.hypervisorParameters
    }
}

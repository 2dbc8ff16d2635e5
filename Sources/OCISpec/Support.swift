import JSON

/// What kvm-runtime does today. Whoever builds more flips an entry here, and nowhere else.
///
/// What has no entry is refused: a field that the types gain is not silently dropped.
enum Support {
    enum Verdict: Sendable {
        /// It is done, with all that is below it.
        case done
        /// It depends on what is below it.
        case section
        /// Refused if it says anything: null, false, 0, "", [] and {} say nothing.
        case refused
        /// Refused if the test says so.
        case refusedIf(@Sendable (JSONValue) -> Bool)
        /// Refused for the reason that this says; nil: it is done.
        case refusedFor(@Sendable (JSONValue) -> String?)
        /// One of these names is done, any other refused.
        case oneOf(Set<String>)
    }

    /// By path, an array's elements being "[]".
    static let table: [String: Verdict] = [
        "ociVersion": .done,
        "root": .done,
        "hostname": .done,
        "domainname": .done,
        "annotations": .done,
        "mounts": .done,  // But see `mountTypes`, `isRefused` and `mountMappings`.
        // As far as the administrator allows it; `create` sees to that.
        "vm": .section,
        "vm.hypervisor": .done,
        "vm.kernel": .done,
        "vm.image": .section,
        "vm.image.path": .done,
        "vm.image.format": .refusedFor { value in
            guard let format = value.string, format != "raw" else { return nil }
            return "\(JSONText.quoted(format)) is not supported, raw is: qemu-img convert -O raw makes one of the other"
        },
        "vm.hwConfig": .section,
        "vm.hwConfig.vcpus": .done,
        "vm.hwConfig.memory": .done,
        "vm.hwconfig": .section,
        "vm.hwconfig.vcpus": .done,
        "vm.hwconfig.memory": .done,

        "process": .section,
        "process.terminal": .done,
        "process.consoleSize": .done,
        "process.user": .done,
        "process.args": .done,
        "process.env": .done,
        "process.cwd": .done,
        "process.capabilities": .done,
        "process.rlimits": .done,
        "process.noNewPrivileges": .done,
        "process.oomScoreAdj": .done,
        // What no profile does.
        "process.apparmorProfile": .refusedIf { $0 != "" && $0 != "unconfined" },
        "process.selinuxLabel": .refused,
        "process.scheduler": .done,
        "process.ioPriority": .done,
        // Of the guest's processors.
        "process.execCPUAffinity": .done,

        "hooks": .section,
        "hooks.prestart": .done,
        "hooks.createRuntime": .done,
        "hooks.createContainer": .done,
        "hooks.startContainer": .done,
        "hooks.poststart": .done,
        "hooks.poststop": .done,

        "linux": .section,
        "linux.namespaces": .section,
        "linux.namespaces[]": .section,
        "linux.namespaces[].type": .oneOf(namespaces),
        // If it is a container's; `create` sees to that.
        "linux.namespaces[].path": .done,
        // Of the guest's users, who are those of the host to its files.
        "linux.uidMappings": .done,
        "linux.gidMappings": .done,
        "linux.timeOffsets": .done,
        "linux.devices": .done,
        "linux.netDevices": .refusedIf(isNotEmpty),
        "linux.cgroupsPath": .done,
        "linux.sysctl": .done,
        "linux.maskedPaths": .done,
        "linux.readonlyPaths": .done,
        "linux.rootfsPropagation": .done,
        "linux.seccomp": .section,
        "linux.seccomp.defaultAction": .done,
        "linux.seccomp.defaultErrnoRet": .done,
        "linux.seccomp.architectures": .done,
        "linux.seccomp.flags": .done,
        "linux.seccomp.syscalls": .done,
        // The descriptor of a notification can't leave the guest.
        "linux.seccomp.listenerPath": .refused,
        "linux.seccomp.listenerMetadata": .refused,
        "linux.mountLabel": .refused,
        "linux.intelRdt": .refused,
        "linux.memoryPolicy": .section,
        "linux.memoryPolicy.mode": .refusedFor { value in
            guard let mode = value.string, Linux.MemoryPolicy.newModes.contains(mode) else { return nil }
            return "\(mode) needs Linux 6.9, and the guest has 6.1"
        },
        "linux.memoryPolicy.nodes": .refusedFor { Linux.MemoryPolicy.missingNodes(in: $0.string ?? "") },
        "linux.memoryPolicy.flags": .done,
        "linux.personality": .section,
        "linux.personality.domain": .done,
        "linux.personality.flags": .refused,

        "linux.resources": .section,
        "linux.resources.devices": .done,
        "linux.resources.unified": .done,
        "linux.resources.pids": .done,
        "linux.resources.memory": .section,
        "linux.resources.memory.limit": .done,
        "linux.resources.memory.reservation": .done,
        "linux.resources.memory.swap": .done,
        // Gone from the kernel; -1 is "no limit".
        "linux.resources.memory.kernel": .refusedIf(isLimit),
        "linux.resources.memory.kernelTCP": .refusedIf(isLimit),
        // 0 says something here: don't swap.
        "linux.resources.memory.swappiness": .refusedIf { _ in true },
        "linux.resources.memory.disableOOMKiller": .refused,
        // cgroup v2 knows nothing else.
        "linux.resources.memory.useHierarchy": .done,
        "linux.resources.memory.checkBeforeUpdate": .done,
        "linux.resources.cpu": .section,
        "linux.resources.cpu.shares": .done,
        "linux.resources.cpu.quota": .done,
        "linux.resources.cpu.period": .done,
        "linux.resources.cpu.cpus": .done,
        "linux.resources.cpu.mems": .done,
        "linux.resources.cpu.burst": .done,
        "linux.resources.cpu.idle": .done,
        "linux.resources.cpu.realtimeRuntime": .refused,
        "linux.resources.cpu.realtimePeriod": .refused,
        // The guest's files are on devices of the host: its cgroup there has the limits.
        "linux.resources.blockIO": .section,
        "linux.resources.blockIO.weight": .done,
        "linux.resources.blockIO.leafWeight": .refused,
        "linux.resources.blockIO.weightDevice": .section,
        "linux.resources.blockIO.weightDevice[]": .section,
        "linux.resources.blockIO.weightDevice[].major": .done,
        "linux.resources.blockIO.weightDevice[].minor": .done,
        "linux.resources.blockIO.weightDevice[].weight": .done,
        "linux.resources.blockIO.weightDevice[].leafWeight": .refused,
        "linux.resources.blockIO.throttleReadBpsDevice": .done,
        "linux.resources.blockIO.throttleWriteBpsDevice": .done,
        "linux.resources.blockIO.throttleReadIOPSDevice": .done,
        "linux.resources.blockIO.throttleWriteIOPSDevice": .done,
        "linux.resources.hugepageLimits": .done,
        "linux.resources.network": .refused,
        "linux.resources.rdma": .refused,
    ]

    /// The kinds that a container can have a new namespace of.
    static let namespaces: Set<String> = ["pid", "network", "mount", "ipc", "uts", "cgroup", "time", "user"]

    /// The file systems that can be mounted, besides bind mounts.
    static let mountTypes: Set<String> = ["tmpfs", "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay"]

    /// `uidMappings` and `gidMappings` of a mount.
    static let mountMappings = true

    /// The mount options that are words of ours and yet not done.
    static func isRefused(_ word: MountWord) -> Bool {
        switch word {
        case .extension(let extra): !mountMappings && !extra.isDisjoint(with: [.idMap, .recursiveIDMap])
        case .set, .clear, .setAll, .clearAll, .propagation, .nothing: false
        }
    }

    /// Whether a value says anything.
    static func isMeaningful(_ value: JSONValue) -> Bool {
        switch value {
        case .null: false
        case .bool(let flag): flag
        case .integer(let integer): integer != 0
        case .unsigned: true
        case .number(let double): double != 0
        case .string(let text): !text.isEmpty
        case .array(let elements): elements.contains(where: isMeaningful)
        case .object(let object): object.contains { isMeaningful($0.value) }
        }
    }

    private static let isNotEmpty: @Sendable (JSONValue) -> Bool = { $0 != [] && $0 != .object(JSONObject()) }

    private static let isLimit: @Sendable (JSONValue) -> Bool = { isMeaningful($0) && $0 != -1 }
}

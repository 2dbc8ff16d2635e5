import JSON
import OCISpec
import Testing

@Suite("OCI spec: what is refused")
struct SupportTests {
    @Test("a configuration as podman writes it is not refused")
    func podman() throws {
        #expect(try Fixture.spec().refusals() == [])
    }

    @Test("runc's default is not refused")
    func standard() throws {
        try Spec.default.validate()
        #expect(Spec.default.refusals() == [])
    }

    @Test("everything else is named")
    func everything() throws {
        let refusals = try Fixture.spec(Fixture.everything).refusals().map(\.description)
        #expect(
            refusals == [
                "process.apparmorProfile is not supported",
                "process.selinuxLabel is not supported",

                "linux.resources.memory.kernel is not supported",
                "linux.resources.memory.kernelTCP is not supported",
                "linux.resources.memory.swappiness is not supported",
                "linux.resources.memory.disableOOMKiller is not supported",

                "linux.resources.cpu.realtimeRuntime is not supported",
                "linux.resources.cpu.realtimePeriod is not supported",
                "linux.resources.blockIO.leafWeight is not supported",
                "linux.resources.blockIO.weightDevice[0].leafWeight is not supported",
                "linux.resources.network is not supported", "linux.resources.rdma is not supported",

                "linux.netDevices is not supported",
                "linux.seccomp.listenerPath is not supported", "linux.seccomp.listenerMetadata is not supported",
                "linux.mountLabel is not supported",
                "linux.intelRdt is not supported",
                "linux.memoryPolicy.nodes: node 1 is not there: the guest has one memory node, 0",
                "linux.personality.flags is not supported",
                "vm.hwConfig.deviceTree is not supported",
                "vm.hwConfig.dtdevs is not supported", "vm.hwConfig.iomems is not supported",
                "vm.hwConfig.irqs is not supported",
            ])
    }

    @Test("mounts")
    func mounts() throws {
        var spec = Spec.default
        spec.mounts = [
            Mount(destination: "/a", type: "nfs", source: "x", options: ["idmap"]),
            Mount(destination: "/b"),
            Mount(destination: "/c", type: "nonsense", source: "/c", options: ["bind", "size=1", "defaults"]),
            Mount(destination: "/d", type: "proc", source: "proc", options: ["tmpcopyup", "hidepid=2"]),
            Mount(destination: "/e", type: "a\nb"),
            Mount(destination: "/f", type: "rbind", source: "/f"),
        ]
        #expect(
            spec.refusals().map(\.description) == [
                "mounts[0].type: nfs is not supported", "mounts[0].options[0]: idmap is not supported",
                "mounts[1].type: \"\" is not supported",
                "mounts[2].options[1]: size=1 is not supported", "mounts[3].options[0]: tmpcopyup is not supported",
                "mounts[4].type: \"a\\nb\" is not supported",
            ])
    }

    @Test(
        "what the guest's kernel, or its memory, does not have of memory policies",
        arguments: [
            ("MPOL_BIND", "0", nil), ("MPOL_PREFERRED_MANY", "0-0", nil), ("MPOL_LOCAL", "", nil),
            ("MPOL_BIND", "3,0", "nodes: node 3 is not there: the guest has one memory node, 0"),
            ("MPOL_INTERLEAVE", "7-9", "nodes: node 7 is not there: the guest has one memory node, 0"),
            ("MPOL_WEIGHTED_INTERLEAVE", "0", "mode: MPOL_WEIGHTED_INTERLEAVE needs Linux 6.9, and the guest has 6.1"),
        ] as [(String, String, String?)])
    func memoryPolicy(mode: String, nodes: String, refusal: String?) throws {
        var spec = Spec.default
        spec.linux?.memoryPolicy = .init(mode: mode, nodes: nodes)
        try spec.validate()
        #expect(spec.refusals().map(\.description) == (refusal.map { ["linux.memoryPolicy.\($0)"] } ?? []))
    }

    @Test("the format of a virtual machine's image", arguments: ["raw", "", "qcow2", "vdi", "vmdk", "vhd", "RAW"])
    func formatOfAnImage(format: String) throws {
        let document = SchemaTree.configuration("vm.image.format", .string(format))
        let spec = try Spec(json: document)
        let refusals = spec.refusals().map(\.description)
        guard !["raw", ""].contains(format) else {
            #expect(refusals == [] && spec.vm?.image?.format == "raw")
            return
        }
        #expect(
            refusals == [
                "vm.image.format: \"\(format)\" is not supported, raw is: qemu-img convert -O raw makes one of the other"
            ])
    }

    @Test("an exec's process, and what update is given")
    func parts() throws {
        var process = Process(args: ["x"])
        process.selinuxLabel = "x"
        #expect(process.refusals(path: "exec").map(\.path) == ["exec.selinuxLabel"])
        let update = try Linux.Resources(json: ["cpu": ["realtimeRuntime": 1, "shares": 2], "network": ["classID": 0]])
        #expect(update.refusals().map(\.path) == ["linux.resources.cpu.realtimeRuntime"])
    }

    @Test("features say what the table says")
    func features() {
        let json = Features.current.json
        #expect(
            json["hooks"] == [
                "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
            ])
        #expect(json["linux"]?["seccomp"]?["enabled"] == true)
        let actions = json["linux"]?["seccomp"]?["actions"]?.text() ?? ""
        #expect(actions.contains("SCMP_ACT_ERRNO") && !actions.contains("SCMP_ACT_NOTIFY"))
        #expect(json["ociVersionMax"] == "1.3.0")
        #expect(Features.current.mountOptions.contains("tmpcopyup"))
        #expect(Features.current.mountOptions.contains("rro"))
        #expect(Features.current.mountOptions.contains("idmap") && Features.current.idMappedMounts)
        let policy = json["linux"]?["memoryPolicy"]
        #expect(
            policy?["modes"] == [
                "MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED", "MPOL_PREFERRED_MANY",
            ])
        #expect(policy?["flags"] == ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"])
        #expect(Features.current.namespaces == ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"])
    }
}

@Suite("OCI spec: mount options")
struct MountOptionTests {
    @Test("flags, data and propagation")
    func parse() {
        let options = MountOptions(parsing: [
            "nosuid", "ro", "noexec", "exec", "mode=755", "rslave", "shared", "size=64k", "tmpcopyup", "defaults",
        ])
        #expect(options.setFlags == [.noSuid, .readOnly])
        #expect(options.clearFlags == [.noExec])
        #expect(options.propagation == [[.slave, .recursive], .shared])
        #expect(options.data == "mode=755,size=64k")
        #expect(options.extensions == .copyUp)
        #expect(options.recursiveSet.isEmpty && options.recursiveClear.isEmpty)
    }

    @Test("the later word wins")
    func order() {
        #expect(MountOptions(parsing: ["rw", "ro"]).setFlags == .readOnly)
        #expect(MountOptions(parsing: ["rw", "ro"]).clearFlags.isEmpty)
        #expect(MountOptions(parsing: ["ro", "rw"]).setFlags.isEmpty)
    }

    @Test("recursive attributes; a time of access clears its whole field")
    func recursive() {
        let options = MountOptions(parsing: ["rro", "rnoatime", "rexec"])
        #expect(options.recursiveSet == [.readOnly, .noAtime])
        #expect(options.recursiveClear == [.noExec, .atime])
        #expect(MountOptions(parsing: ["rrelatime"]).recursiveClear == .atime)
        #expect(MountOptions(parsing: ["rro"]).recursiveClear.isEmpty)
    }

    @Test("flags have the kernel's values")
    func values() {
        let all = MountOptions(parsing: [
            "ro", "nosuid", "nodev", "noexec", "sync", "remount", "mand", "dirsync", "nosymfollow", "noatime",
            "nodiratime", "rbind", "silent", "relatime", "iversion", "strictatime", "lazytime",
        ])
        #expect(all.setFlags.rawValue == 0x3A0_DDFF)
        #expect(MountFlags.propagation(named: "runbindable")?.rawValue == 1 << 17 | 1 << 14)
        #expect(MountFlags.propagation(named: "ro") == nil)
    }

    @Test("what a bind mount is")
    func bind() {
        let recursive = Mount(destination: "/a", type: "none", options: ["rbind"])
        #expect(recursive.parsedOptions.setFlags == [.bind, .recursive])
        #expect(Mount(destination: "/a", type: "bind", options: ["ro"]).parsedOptions.setFlags == [.bind, .readOnly])
        #expect(Mount(destination: "/a", type: "rbind").parsedOptions.setFlags == [.bind, .recursive])
        #expect(Mount(destination: "a/b").containerPath == "/a/b")
        #expect(Mount(destination: "/\u{301}").containerPath == "/\u{301}")
    }
}

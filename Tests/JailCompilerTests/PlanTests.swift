import AgentProtocol
import OCISpec
import Testing

@testable import JailCompiler

@Suite struct PlanTests {
    private func spec(_ change: (inout Spec) -> Void = { _ in }) -> Spec {
        var spec = Spec(
            ociVersion: "1.0.2", process: Process(args: ["sh"]), root: Root(path: "rootfs", readonly: true),
            linux: Linux())
        change(&spec)
        return spec
    }

    private func plan(binds: [Int: String] = [:], _ change: (inout Spec) -> Void) throws -> JailPlan {
        let place = JailPlace(rootfs: "r", binds: binds)
        return try JailPlan(spec(change), in: place)
    }

    /// What is done before the devices, which every plan has.
    private func mounts(binds: [Int: String] = [:], _ mounts: [Mount]) throws -> [JailOperation] {
        let operations = try plan(binds: binds) { $0.mounts = mounts }.operations
        return Array(
            operations.prefix { operation in
                if case .device = operation.action { return false }
                return true
            })
    }

    @Test func namespaces() throws {
        let flags = try plan { $0.linux?.namespaces = [.init(.pid), .init(.mount), .init(.network, path: "/x")] }
        // One with a path is another's, and not made.
        #expect(flags.namespaces == 0x2000_0000 | 0x2_0000)
        #expect(!flags.operations.contains { $0.action == .loopback })
        let own = try plan { $0.linux?.namespaces = [.init(.network)] }
        #expect(own.namespaces == 0x4000_0000 && own.operations.first?.action == .loopback)
        let user = try plan {
            $0.linux?.namespaces = [.init(.user)]
            $0.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 7, size: 9)]
            $0.process?.user.uid = 2
        }
        #expect(user.namespaces == 0x1000_0000 && user.uidMap == "0 7 9\n" && user.process.outerUID == 9)
    }

    @Test func bindMount() throws {
        let mount = Mount(destination: "/data", type: "bind", source: "/x", options: ["rbind", "ro", "rprivate"])
        let steps = try mounts(binds: [0: "v/0"], [mount])
        #expect(steps.count == 2)
        #expect(steps[0].action == .bind(source: "v/0", recursive: true))
        #expect(steps[0].target == "/data")
        #expect(steps[0].attributes.set == .readOnly)
        #expect(steps[0].subject == "mounts[0] to \"/data\"")
        #expect(steps[1].action == .propagation([.private, .recursive]))
    }

    @Test("a disk is mounted before what is mounted in it, and after what is mounted above it")
    func disks() throws {
        var place = JailPlace(rootfs: JailDisk.source("root"), binds: [2: "v/2"])
        place.disks = [JailDisk(name: "disk-a", target: "/var/a"), JailDisk(name: "disk-b", target: "/b")]
        let plan = try JailPlan(
            spec {
                $0.mounts = [
                    Mount(destination: "/var", type: "tmpfs", source: "t"),
                    Mount(destination: "/var/ab", type: "tmpfs", source: "t"),
                    Mount(destination: "/var/a/c", type: "bind", source: "/x", options: ["bind"]),
                ]
            }, in: place)
        #expect(plan.rootfs == "/root")
        #expect(plan.operations.prefix(5).map(\.target) == ["/var", "/var/ab", "/var/a", "/var/a/c", "/b"])
        #expect(plan.operations[2].action == .bind(source: "/disk-a", recursive: false))
        #expect(plan.operations[2].subject == "disk-a to \"/var/a\"")
    }

    @Test func bindWithoutSourceInTheShare() {
        #expect(throws: SpecError.self) {
            try mounts([Mount(destination: "/data", type: "bind", source: "/x", options: ["bind"])])
        }
    }

    @Test func fileSystem() throws {
        let options = ["nosuid", "nodev", "mode=1777", "size=64k"]
        let mount = Mount(destination: "/dev/shm", type: "tmpfs", source: "shm", options: options)
        let steps = try mounts([mount])
        let expected = JailOperation.FileSystem(
            type: "tmpfs", source: "shm", flags: [.noSuid, .noDev], data: "mode=1777,size=64k")
        #expect(steps.map(\.action) == [.mount(expected)])
        #expect(steps[0].subject == "mounts[0] to \"/dev/shm\" (tmpfs, mode=1777,size=64k)")
    }

    @Test func readOnlyTmpfsIsFilledFirst() throws {
        let plan = try plan { $0.mounts = [Mount(destination: "/dev", type: "tmpfs", options: ["ro"])] }
        guard case .mount(let fileSystem)? = plan.operations.first?.action else {
            Issue.record("no mount")
            return
        }
        #expect(!fileSystem.flags.contains(.readOnly))
        let last = plan.operations.last
        #expect(last?.action == .attributes && last?.target == "/dev" && last?.attributes.set == .readOnly)
    }

    @Test func cgroupIsVersionTwo() throws {
        let mount = Mount(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"])
        let steps = try mounts([mount])
        #expect(steps.map(\.action) == [.mount(.init(type: "cgroup2", source: "cgroup", flags: .readOnly))])
    }

    @Test func copyUpAndRemount() throws {
        let steps = try mounts([
            Mount(destination: "/run", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]),
            Mount(destination: "/run", type: "tmpfs", source: "tmpfs", options: ["remount", "noexec", "size=1m"]),
        ])
        #expect(steps[0].action == .copyUp(.init(type: "tmpfs", source: "tmpfs")))
        #expect(steps[1].action == .remount(flags: .noExec, data: "size=1m"))
    }

    @Test func timesOfAccessAreOneField() {
        let attributes = MountCompiler.attributes(of: MountOptions(parsing: ["noatime", "rw"]))
        #expect(attributes.set == .noAtime)
        #expect(attributes.clear == [.atime, .readOnly])
    }

    @Test func recursiveAttributes() throws {
        let mount = Mount(destination: "/d", type: "bind", source: "/x", options: ["rbind", "rro"])
        #expect(try mounts(binds: [0: "v"], [mount])[0].attributes.recursiveSet == .readOnly)
    }

    @Test func defaultDevices() throws {
        let operations = try plan { _ in }.operations
        #expect(operations.map(\.target).contains("/dev/urandom"))
        let null = operations.first { $0.target == "/dev/null" }
        #expect(null?.action == .device(.init(mode: 0o020666, major: 1, minor: 3), .unlessNamed))
        let ptmx = operations.first { $0.target == "/dev/ptmx" }
        #expect(ptmx?.action == .symlink(to: "pts/ptmx", replacing: true))
    }

    @Test func listedDevicesWin() throws {
        var device = Linux.Device(path: "/dev/null", type: .character, major: 1, minor: 3)
        device.fileMode = 0o100600
        device.uid = 5
        let nulls = try plan { $0.linux?.devices = [device] }.operations.filter { $0.target == "/dev/null" }
        #expect(nulls.map(\.action) == [.device(.init(mode: 0o020600, major: 1, minor: 3, uid: 5), .exactly)])
    }

    @Test func aBoundDevIsLeftAlone() throws {
        let dev = Mount(destination: "/dev/", type: "bind", source: "/dev", options: ["rbind"])
        let steps = try plan(binds: [0: "dev"]) { $0.mounts = [dev] }.operations
        #expect(steps.count == 1)
    }

    @Test func deviceNumber() {
        #expect(JailOperation.Node(mode: 0, major: 259, minor: 0x12345).device == 0x1231_0345)
    }

    @Test func identityComesLast() throws {
        let operations = try plan {
            $0.hostname = "h"
            $0.linux?.namespaces = [.init(.uts), .init(.mount)]
            $0.linux?.sysctl = ["net.ipv4.ip_forward": "1"]
            $0.linux?.maskedPaths = ["/proc/kcore"]
            $0.linux?.readonlyPaths = ["/proc/sys"]
        }.operations.suffix(4)
        #expect(
            operations.map(\.action) == [.hostname("h"), .sysctl(value: "1"), .readOnly, .mask])
        #expect(operations.map(\.target) == ["", "net/ipv4/ip_forward", "/proc/sys", "/proc/kcore"])
    }

    @Test func process() throws {
        let process = try plan {
            $0.process?.rlimits = [.init(type: "RLIMIT_NOFILE", hard: 5, soft: 4)]
            $0.process?.user.umask = 0o77
        }.process
        #expect(process.limits == [.init(resource: 7, soft: 4, hard: 5)])
        #expect(process.umask == 0o77)
        #expect(process.capabilities == CapabilitySets())
    }

    @Test func memoryPolicy() throws {
        func compiled(_ mode: String, _ nodes: String = "", _ flags: [String] = []) throws -> MemoryPolicy? {
            try plan { $0.linux?.memoryPolicy = .init(mode: mode, nodes: nodes, flags: flags) }.process.memoryPolicy
        }
        #expect(try plan { _ in }.process.memoryPolicy == nil)
        let bound = try compiled("MPOL_BIND", "0,2-3", ["MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"])
        #expect(bound?.mode == 0xA002 && bound?.nodes == 0b1101)
        let local = try compiled("MPOL_LOCAL")
        #expect(local?.mode == 4 && local?.nodes == 0)
        #expect(throws: SpecError.self) { try compiled("MPOL_BIND", "64") }
        #expect(throws: SpecError.self) { try compiled("MPOL_NONE") }
        #expect(throws: SpecError.self) { try compiled("MPOL_LOCAL", "", ["MPOL_F_NONE"]) }
        let failure = try plan { _ in }.failure(StepFailure(step: JailStep.memoryPolicy.rawValue, index: 0, errno: 22))
        #expect(failure.message == "linux.memoryPolicy: invalid argument (the guest's kernel decides)")
    }

    @Test func quoting() {
        #expect(quoted("a\"b\\c\n\u{7f}ä") == #""a\"b\\c\n\x7fä""#)
    }
}

import JSON
import OCISpec
import Testing

@Suite("OCI spec: validation")
struct ValidationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let error: String?
        let change: @Sendable (inout Spec) -> Void

        init(_ error: String?, _ change: @escaping @Sendable (inout Spec) -> Void) {
            self.error = error
            self.change = change
        }

        var testDescription: String { error ?? "valid" }
    }

    static let process: [Case] = [
        Case("process: is missing") { $0.process = nil },
        Case("process.args: must not be empty") { $0.process?.args = [] },
        Case("process.args[1]: contains a NUL byte") { $0.process?.args = ["a", "b\0c"] },
        Case("process.cwd: must not be empty") { $0.process?.cwd = "" },
        Case("process.cwd: must be an absolute path, and is \"a/b\"") { $0.process?.cwd = "a/b" },
        // Swift's Character would not find the slash here.
        Case(nil) { $0.process?.cwd = "/\u{301}" },
        Case("process.env[0]: has no '='") { $0.process?.env = ["PATH"] },
        Case("process.env[1]: has no name before the '='") { $0.process?.env = ["A=", "=b"] },
        Case(nil) { $0.process?.env = ["A=\u{338}b", "A==", "é=1"] },
        Case("process.user.uid: 4294967295 is no user") { $0.process?.user.uid = .max },
        Case("process.user.gid: 4294967295 is no group") { $0.process?.user.gid = .max },
        Case("process.user.additionalGids[1]: 4294967295 is no group") {
            $0.process?.user.additionalGids = [1, .max]
        },
        Case("process.user.additionalGids: has 65537 groups, allowed are 65536") {
            $0.process?.user.additionalGids = Array(repeating: 1, count: 65537)
        },
        Case(#"process.capabilities.bounding[3]: unknown capability "CAP_FOO""#) {
            $0.process?.capabilities?.bounding.append("CAP_FOO")
        },
        Case(#"process.capabilities.ambient[0]: unknown capability "kill""#) {
            $0.process?.capabilities?.ambient = ["kill"]
        },
        // With the Kelvin sign.
        Case("process.capabilities.effective[0]: unknown capability \"CAP_\u{212A}ILL\"") {
            $0.process?.capabilities?.effective = ["CAP_\u{212A}ILL"]
        },
        Case(#"process.rlimits[0].type: unknown rlimit "NOFILE""#) {
            $0.process?.rlimits = [Process.Rlimit(type: "NOFILE", hard: 1, soft: 1)]
        },
        Case("process.rlimits[2].type: RLIMIT_NOFILE occurs twice") {
            $0.process?.rlimits.append(Process.Rlimit(type: "RLIMIT_NOFILE", hard: 1, soft: 1))
        },
        Case("process.rlimits[0].soft: 2 is more than the hard limit, 1") {
            $0.process?.rlimits = [Process.Rlimit(type: "RLIMIT_CPU", hard: 1, soft: 2)]
        },
        Case("process.consoleSize.width: 65536 is out of range (0 to 65535)") {
            $0.process?.consoleSize = Process.ConsoleSize(height: 1, width: 65536)
        },
        Case("process.oomScoreAdj: 1001 is out of range (-1000 to 1000)") { $0.process?.oomScoreAdj = 1001 },
    ]

    static let container: [Case] = [
        Case(nil) { _ in },
        Case(#"ociVersion: must be a version such as 1.0.2, and is "1.0""#) { $0.ociVersion = "1.0" },
        Case(#"ociVersion: "2.0.0" is not supported (1.0.0 to 1.3.0 are)"#) { $0.ociVersion = "2.0.0" },
        Case(#"ociVersion: "0.5.0-dev" is not supported (1.0.0 to 1.3.0 are)"#) { $0.ociVersion = "0.5.0-dev" },
        Case(nil) { $0.ociVersion = "1.9.0" },
        Case("root: is missing") { $0.root = nil },
        Case("root.path: must not be empty") { $0.root = Root(path: "") },
        Case("root.path: has 5000 bytes, a path has at most 4095") {
            $0.root = Root(path: String(repeating: "a/", count: 2500))
        },
        Case("root.path: contains a name of more than 255 bytes") {
            $0.root = Root(path: "/x/" + String(repeating: "a", count: 256))
        },
        Case("hostname: has 65 bytes, allowed are 64") { $0.hostname = String(repeating: "h", count: 65) },
        Case("hostname: contains a NUL byte") { $0.hostname = "a\0" },
        Case("hostname: needs a uts namespace in linux.namespaces") {
            $0.linux?.namespaces.removeAll { $0.type == .uts }
        },
        Case("domainname: needs a uts namespace in linux.namespaces") {
            $0.hostname = ""
            $0.linux = nil
        },
        Case("mounts[0].destination: must not be empty") { $0.mounts[0].destination = "" },
        Case(nil) { $0.mounts[0].destination = "relative" },
        Case("mounts[4].source: must not be empty") { $0.mounts[4].source = "" },
        Case("mounts[1].options: have 5000 bytes for the file system, allowed are 4095") {
            $0.mounts[1].options = [String(repeating: "x", count: 5000)]
        },
        Case("mounts[1].options[0]: contains a NUL byte") { $0.mounts[1].options = ["mode=1\0"] },
        Case("annotations: contains an empty key") { $0.annotations[""] = "x" },
        Case("annotations[\"a\\u0000\"]: contains a NUL byte") { $0.annotations["a\0"] = "x" },
        Case(#"hooks.poststart[0].path: must be an absolute path, and is "x""#) {
            $0.hooks?.poststart = [Hook(path: "x")]
        },
        Case("hooks.poststop[0].timeout: must be greater than 0") {
            $0.hooks?.poststop = [Hook(path: "/x")]
            $0.hooks?.poststop[0].timeout = 0
        },
    ]

    static let linux: [Case] = [
        Case("linux.namespaces[6].type: pid occurs twice") { $0.linux?.namespaces.append(Linux.Namespace(.pid)) },
        Case(#"linux.namespaces[0].path: must be an absolute path, and is "x""#) { $0.linux?.namespaces[0].path = "x" },
        Case("linux.namespaces: maskedPaths and readonlyPaths need a mount namespace") {
            $0.linux?.namespaces.removeAll { $0.type == .mount }
        },
        Case(#"linux.maskedPaths[0]: must be an absolute path, and is "x""#) { $0.linux?.maskedPaths = ["x"] },
        Case("linux.readonlyPaths[1]: must not be empty") { $0.linux?.readonlyPaths = ["/x", ""] },
        Case("linux.devices[0].major: 4096 is out of range (0 to 4095)") { $0.linux?.devices[0].major = 4096 },
        Case("linux.devices[0].minor: -1 is out of range (0 to 1048575)") { $0.linux?.devices[0].minor = -1 },
        Case(#"linux.devices[0].path: must be an absolute path, and is "fuse""#) { $0.linux?.devices[0].path = "fuse" },
        Case(#"linux.sysctl: "net.ipv4.../x" is no name of a sysctl"#) { $0.linux?.sysctl = ["net.ipv4.../x": "1"] },
        Case(#"linux.sysctl: "kernel.hostname" is to be given as hostname"#) {
            $0.linux?.sysctl = ["kernel/hostname": "x"]
        },
        Case(#"linux.cgroupsPath: must not contain "..""#) { $0.linux?.cgroupsPath = "/a/../b" },
        Case(#"linux.rootfsPropagation: unknown propagation "loud""#) { $0.linux?.rootfsPropagation = "loud" },
        Case(#"linux.resources.devices[0].type: unknown device type "x""#) {
            $0.linux?.resources?.devices[0].type = "x"
        },
        Case(#"linux.resources.devices[0].access: must be of the letters r, w and m, and is "rx""#) {
            $0.linux?.resources?.devices[0].access = "rx"
        },
        Case("linux.resources.memory.limit: -2 is neither a size nor -1") {
            $0.linux?.resources?.memory?.limit = -2
        },
        Case("linux.resources.memory.swap: 5 is less than the limit of memory alone, 268435456") {
            $0.linux?.resources?.memory?.swap = 5
        },
        Case(#"linux.resources.cpu.cpus: must be a list such as 0-3,7, and is "0\n1""#) {
            $0.linux?.resources?.cpu?.cpus = "0\n1"
        },
        Case(#"linux.resources.unified: "../x.y" is not of the form CONTROLLER.PARAMETER"#) {
            $0.linux?.resources?.unified = ["../x.y": "1"]
        },
        Case(#"linux.resources.unified: "memory" is not of the form CONTROLLER.PARAMETER"#) {
            $0.linux?.resources?.unified = ["memory": "1"]
        },
    ]

    private static func policy(
        _ error: String?, _ mode: String, _ nodes: String, _ flags: String...
    ) -> Case {
        Case(error.map { "linux.memoryPolicy.\($0)" }) {
            $0.linux?.memoryPolicy = .init(mode: mode, nodes: nodes, flags: flags)
        }
    }

    /// What set_mempolicy(2) takes, and what it answers EINVAL to.
    static let memoryPolicy: [Case] = [
        policy(nil, "MPOL_DEFAULT", ""), policy(nil, "MPOL_LOCAL", ""), policy(nil, "MPOL_PREFERRED", ""),
        policy(nil, "MPOL_PREFERRED", "0,2-3", "MPOL_F_STATIC_NODES"), policy(nil, "MPOL_WEIGHTED_INTERLEAVE", "0"),
        policy(nil, "MPOL_BIND", "0", "MPOL_F_RELATIVE_NODES", "MPOL_F_NUMA_BALANCING"),
        policy(#"mode: unknown mode of a memory policy """#, "", ""),
        policy(#"mode: unknown mode of a memory policy "BIND""#, "BIND", "0"),
        policy(
            #"flags[1]: unknown flag of a memory policy "MPOL_F_NODE""#, "MPOL_BIND", "0", "MPOL_F_STATIC_NODES",
            "MPOL_F_NODE"),
        policy(#"nodes: must be a list such as 0-3,7, and is "0x1""#, "MPOL_BIND", "0x1"),
        policy(#"nodes: must be a list such as 0-3,7, and is "+1""#, "MPOL_BIND", "+1"),
        policy(#"nodes: must be a list such as 0-3,7, and is "3-0""#, "MPOL_BIND", "3-0"),
        policy(#"nodes: must be a list such as 0-3,7, and is "0-""#, "MPOL_BIND", "0-"),
        policy(#"nodes: must be a list such as 0-3,7, and is ",""#, "MPOL_BIND", ","),
        policy(
            #"nodes: must be a list such as 0-3,7, and is "0-99999999999999999999""#, "MPOL_BIND",
            "0-99999999999999999999"),
        policy("nodes: MPOL_DEFAULT has no nodes", "MPOL_DEFAULT", "0"),
        policy("nodes: MPOL_LOCAL has no nodes", "MPOL_LOCAL", "0"),
        policy("nodes: MPOL_BIND needs at least one node", "MPOL_BIND", ""),
        policy("nodes: MPOL_INTERLEAVE needs at least one node", "MPOL_INTERLEAVE", ""),
        policy("nodes: MPOL_PREFERRED_MANY needs at least one node", "MPOL_PREFERRED_MANY", ""),
        policy(
            "flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other", "MPOL_BIND", "0",
            "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"),
        policy("flags: MPOL_F_STATIC_NODES needs nodes", "MPOL_LOCAL", "", "MPOL_F_STATIC_NODES"),
        policy("flags: MPOL_F_RELATIVE_NODES needs nodes", "MPOL_PREFERRED", "", "MPOL_F_RELATIVE_NODES"),
        policy("flags: MPOL_F_NUMA_BALANCING is for MPOL_BIND only", "MPOL_INTERLEAVE", "0", "MPOL_F_NUMA_BALANCING"),
    ]

    @Test(arguments: process + container + linux + memoryPolicy)
    func validate(test: Case) throws {
        var spec = try Fixture.spec()
        test.change(&spec)
        #expect(failure { try spec.validate() } == test.error)
    }

    @Test(
        arguments: [
            ("1.0.0", true), ("1.0.2-dev", true), ("1.3.0+build.5", true), ("1.0.0-rc1+a-b", true), ("1.0", false),
            ("", false), ("1.0.0.0", false), ("v1.0.0", false), ("1.0.x", false), ("01.0.0", false), ("1.0.0-", false),
            ("1.0.0-a..b", false), ("1.-1.0", false), ("99999999999999999999.0.0", false), ("1.0.0\n", false),
        ] as [(String, Bool)])
    func version(text: String, isVersion: Bool) {
        #expect((SpecVersion(text) != nil) == isVersion)
    }

    @Test(
        arguments: [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"), ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
            ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
            ("kernel", nil), ("", nil), (".a", nil), ("/a/b", nil), ("a/../b", nil), ("a..b", nil), ("a.//.b", nil),
            ("a.b\n", nil), ("a.é", nil), ("a/b/", nil),
        ] as [(String, String?)])
    func sysctl(key: String, path: String?) {
        #expect(SysctlKey.path(of: key) == path)
    }

    @Test("capabilities and rlimits by name and number")
    func numbers() throws {
        #expect(CapabilitySet.names.count == 41)
        #expect(CapabilitySet.number(of: "CAP_CHOWN") == 0)
        #expect(CapabilitySet.number(of: "CAP_SYS_ADMIN") == 21)
        #expect(CapabilitySet.number(of: "CAP_AUDIT_READ") == 37)
        #expect(CapabilitySet.number(of: "CAP_CHECKPOINT_RESTORE") == 40)
        #expect(CapabilitySet.all.rawValue == 0x1FF_FFFF_FFFF)
        #expect(try CapabilitySet(names: ["CAP_KILL", "CAP_KILL"], path: "").names == ["CAP_KILL"])
        #expect(try Fixture.spec().process?.capabilities?.sets().bounding.rawValue == 1 << 40 | 1 << 5 | 1)
        #expect(RlimitResource.names.count == 16)
        #expect(RlimitResource.number(of: "RLIMIT_NOFILE") == 7)
        #expect(RlimitResource.number(of: "RLIMIT_RTTIME") == 15)
    }
}

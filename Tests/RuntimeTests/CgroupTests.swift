import Testing

@testable import Runtime

struct CgroupsPathTests {
    @Test(
        arguments: [
            ("", false, ["c1"]), ("/", false, ["c1"]), ("/a/b", true, ["a", "b"]), ("a/b", false, ["a", "b"]),
            ("/../../etc/./x", true, ["etc", "x"]),
        ] as [(String, Bool, [String])])
    func plain(text: String, absolute: Bool, names: [String]) throws {
        let path = try CgroupsPath(text, id: "c1", systemd: false)
        #expect(path.isAbsolute == absolute && path.names == names && path.slice == nil)
    }

    @Test(
        arguments: [
            ("", "system.slice", ["system.slice", "kvm-runtime-c1.scope"]),
            ("user.slice:p:n", "user.slice", ["user.slice", "p-n.scope"]),
            ("a-b-c.slice:p:n", "a-b-c.slice", ["a.slice", "a-b.slice", "a-b-c.slice", "p-n.scope"]),
            (":p:n", "system.slice", ["system.slice", "p-n.scope"]), ("-.slice::n", "-.slice", ["n.scope"]),
            ("machine.slice:p:pod.slice", "machine.slice", ["machine.slice", "pod.slice"]),
        ] as [(String, String, [String])])
    func systemd(text: String, slice: String, names: [String]) throws {
        let path = try CgroupsPath(text, id: "c1", systemd: true)
        #expect(path.isAbsolute && path.names == names && path.slice == slice)
    }

    @Test(arguments: ["/a/b", "a:b", "a:b:c:d", "x:p:n", "../x.slice:p:n", "a--b.slice:p:n", "a.slice:p:../../n"])
    func noSystemdPath(text: String) {
        #expect(throws: RuntimeError.self) { try CgroupsPath(text, id: "c1", systemd: true) }
    }
}

struct CgroupHierarchyTests {
    private let v1 = """
        31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
        35 31 0:32 /docker/x /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
        """

    @Test("v1 with v2 beside it: v1 counts; a mount of part of a hierarchy is known as such")
    func hybrid() {
        let found = CgroupHierarchy.all(
            mountinfo: v1, cgroup: "9:name=systemd:/\n4:memory:/docker/x/y\n1:cpu,cpuacct:/a\n0::/\n"
        ) { _ in false }
        #expect(
            found == [
                CgroupHierarchy(
                    mount: "/sys/fs/cgroup/cpu,cpuacct", controllers: ["cpu", "cpuacct"], isUnified: false, own: "/a"),
                CgroupHierarchy(mount: "/sys/fs/cgroup/memory", controllers: ["memory"], isUnified: false, own: "/y"),
                CgroupHierarchy(
                    mount: "/sys/fs/cgroup/systemd", controllers: ["name=systemd"], isUnified: false, own: "/"),
            ])
    }

    @Test func unified() {
        let found = CgroupHierarchy.all(
            mountinfo: "30 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
            cgroup: "0::/user.slice/a\n"
        ) { _ in false }
        #expect(
            found == [CgroupHierarchy(mount: "/sys/fs/cgroup", controllers: [], isUnified: true, own: "/user.slice/a")])
    }

    @Test("v2 beside v1 counts where it has controllers; a v1 without any doesn't")
    func both() {
        let cgroup = "9:name=systemd:/\n4:memory:/\n1:cpu,cpuacct:/a\n0::/b\n"
        let found = CgroupHierarchy.all(mountinfo: v1, cgroup: cgroup) { $0 == "/sys/fs/cgroup/unified" }
        #expect(found.count == 4 && found.last?.isUnified == true && found.last?.own == "/b")
        let mounts = v1.split(separator: "\n").suffix(2).joined(separator: "\n")
        let alone = CgroupHierarchy.all(mountinfo: mounts, cgroup: cgroup) { _ in false }
        #expect(alone.map(\.mount) == ["/sys/fs/cgroup/unified"])
    }

    @Test(arguments: [
        (true, "/a/b", "/a"), (true, "/a", ""), (true, "/", ""), (false, "/a/b", "/a/b"), (false, "/", ""),
    ])
    func base(isUnified: Bool, own: String, base: String) {
        #expect(CgroupHierarchy(mount: "/m", controllers: [], isUnified: isUnified, own: own).base == base)
    }

    @Test func nothing() { #expect(CgroupHierarchy.all(mountinfo: "", cgroup: "") { _ in true }.isEmpty) }
}

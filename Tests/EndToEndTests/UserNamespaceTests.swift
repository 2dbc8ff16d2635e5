import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Containers whose root is somebody else outside: in the guest, and for the files of the host.
    @Suite struct UserNamespaces {
        private func bundle(
            _ host: Host, _ script: String, terminal: Bool = false, _ edit: (inout JSONValue) -> Void = { _ in }
        ) throws -> Bundle {
            let mapping: JSONValue = [["containerID": 0, "hostID": 100_000, "size": 65536]]
            let bundle = try host.bundle(script, terminal: terminal) {
                $0.append("linux.namespaces", ["type": "user"])
                $0.append("linux.namespaces", ["type": "cgroup"])
                $0.set("linux.uidMappings", mapping)
                $0.set("linux.gidMappings", mapping)
                $0.set("root.readonly", false)
                for set in ["bounding", "effective", "permitted"] {
                    $0.set(
                        "process.capabilities.\(set)",
                        ["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_CHOWN", "CAP_SETUID", "CAP_SETGID"])
                }
                edit(&$0)
            }
            // As callers do it.
            let chown = try Running("/bin/chown", ["-R", "--no-dereference", "100000:100000", bundle.rootfs]).finish()
            #expect(chown.code == 0, "\(chown.err)")
            return bundle
        }

        @Test func itsRootIsSomebodyElse() throws {
            try Host.use { host in
                let script = """
                    id -u; awk '{ print $1, $2, $3 }' /proc/self/uid_map /proc/self/gid_map; touch /made; chown 5:6 /made
                    stat -c '%u %g' /made /; cat /dev/null; echo x > /dev/null && echo devices; hostname inner; hostname
                    ip link set lo mtu 1000 && cat /sys/class/net/lo/mtu; mount -t tmpfs none /tmp && echo mounted
                    echo again > /dev/stdout; cat /proc/self/oom_score_adj; ls -ld /proc/1 | awk '{ print $3 }'
                    echo 1 2>/dev/null > /proc/sys/kernel/panic || echo closed; mknod /x c 1 1 2>/dev/null || echo no nodes
                    """
                let bundle = try bundle(host, script) {
                    $0.set("process.oomScoreAdj", -100)
                    $0.set("linux.readonlyPaths", [])
                }
                let outcome = try host.run(bundle)
                #expect(
                    outcome.lines == [
                        "0", "0 100000 65536", "0 100000 65536", "5 6", "0 0", "devices", "inner", "1000", "mounted",
                        "again", "-100", "root", "closed", "no nodes",
                    ], "\(outcome)")
                let made = File.status(bundle.rootfs + "/made")
                #expect(made?.uid == 100_005 && made?.gid == 100_006)
            }
        }

        @Test func itsUsersAndExecs() throws {
            try Host.use { host in
                let bundle = try bundle(host, "id -u; touch /tmp/mine; echo ready > /dev/stdout; sleep 100") {
                    $0.set("process.user", ["uid": 1000, "gid": 1000])
                }
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                #expect(run.out == "1000\nready\n")
                #expect(File.status(bundle.rootfs + "/tmp/mine")?.uid == 101_000)
                let exec = try host.command(
                    "exec", "--user", "0", host.id, "sh", "-c",
                    "id -u; cut -c 1-30 /proc/self/uid_map | tr -s ' '; echo own > /dev/stderr; readlink /proc/self/ns/user"
                )
                let inner = try host.command("exec", host.id, "readlink", "/proc/1/ns/user").out
                #expect(exec.lines.first == "0" && exec.lines.last.map { $0 + "\n" } == inner, "\(exec)")
                #expect(exec.err == "own\n")
                #expect(try host.command("delete", "--force", host.id).code == 0)
            }
        }

        @Test func terminals() throws {
            try Host.use { host in
                let terminal = try OuterTerminal(rows: 24, columns: 80)
                let bundle = try bundle(
                    host, "tty; stat -c %u $(tty); test -w /dev/console && echo con''sole", terminal: true)
                let run = try host.starting(bundle, on: terminal)
                try run.wait(for: "console", on: terminal)
                #expect(terminal.text.contains("/dev/pts/0"))
                _ = try run.finish()
            }
        }

        @Test("without a cgroup namespace it sees the guest's hierarchy, and can change nothing there")
        func cgroupsWithoutTheirNamespace() throws {
            try Host.use { host in
                let script =
                    "cat /sys/fs/cgroup/cgroup.controllers; readlink /proc/self/ns/cgroup; mkdir /sys/fs/cgroup/x; "
                    + "grep -c '/sys/fs/cgroup ro,nosuid,nodev,noexec' /proc/self/mountinfo"
                let bundle = try bundle(host, script) { config in
                    config.set(
                        "linux.namespaces",
                        .array(
                            ["pid", "network", "ipc", "uts", "mount", "user"].map { ["type": .string($0)] }))
                }
                let outcome = try host.run(bundle)
                #expect(outcome.code == 0 && outcome.lines.count == 3, "\(outcome)")
                #expect(outcome.lines.first?.contains("memory") ?? false, "\(outcome)")
                #expect(outcome.lines.last == "1" && outcome.err.contains("Read-only file system"), "\(outcome)")
            }
        }

        @Test(arguments: [
            ("go together", "linux.gidMappings"), ("must map the container's root", "linux.uidMappings.0.containerID"),
            ("overlaps another range", ""),
        ])
        func badMappings(words: String, path: String) throws {
            try Host.use { host in
                let bundle = try bundle(host, "true") {
                    if path.isEmpty {
                        $0.append("linux.uidMappings", ["containerID": 5, "hostID": 5, "size": 5])
                    } else {
                        $0.set(path, path.hasSuffix("ID") ? 1 : nil)
                    }
                }
                let outcome = try host.run(bundle)
                #expect(outcome.code == 1 && outcome.complaints.count == 1 && outcome.err.contains(words), "\(outcome)")
            }
        }
    }
}

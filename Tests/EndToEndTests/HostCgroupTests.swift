import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// The sandbox's processes in the container's cgroup on the host.
    @Suite(.enabled(if: CgroupFacts.obstacle == nil, "\(CgroupFacts.obstacle ?? "")")) struct HostCgroups {
        private func processes(_ directory: String) throws -> Set<pid_t> {
            Set(try Files.text(directory + "/cgroup.procs").split(separator: "\n").compactMap { pid_t($0) })
        }

        @Test("they are all in it, its limit is the guest's size and more, and it goes with the container")
        func membersAndLimit() throws {
            try Host.use { host in
                let directory = (CgroupFacts.memory ?? "") + "/kvm-runtime-tests/\(host.id)"
                let bundle = try host.bundle("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done") {
                    $0.set("linux.cgroupsPath", .string("/kvm-runtime-tests/\(host.id)"))
                    $0.set("linux.resources.memory", ["limit": 67_108_864])
                }
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                let members = try processes(directory)
                for (name, pid) in try host.processes() { #expect(members.contains(pid), "\(name) is not in it") }
                let file = File.exists(directory + "/memory.max") ? "/memory.max" : "/memory.limit_in_bytes"
                let limit = try #require(Int(try Files.text(directory + file).filter(\.isNumber)))
                #expect(limit > 200 << 20 && limit < 2 << 30)
                // Another container is not let into it.
                let other = try host.start(["run", "--bundle", bundle.path, host.id + "-b"]).finish()
                #expect(other.code == 1 && other.err.contains("cgroup is not empty"), "\(other.err)")
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                #expect(try run.finish().code == 0)
                #expect(eventually(within: 2) { !File.exists(directory) })
                rmdir((CgroupFacts.memory ?? "") + "/kvm-runtime-tests")
            }
        }

        @Test func deleteByForceLeavesNone() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo ready; sleep 100")
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                try run.wait("the end of the command") { !run.isRunning }
                #expect(!Leaks.cgroups(prefix: host.id).isEmpty)
                kill(try #require(try host.processes()["supervisor"]), SIGKILL)
                #expect(try host.command("delete", "--force", host.id).code == 0)
                #expect(Leaks.cgroups(prefix: host.id) == [])
            }
        }
    }
}

private enum CgroupFacts {
    /// Where v1's memory hierarchy is mounted, or v2's.
    static let memory: String? = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].first {
        File.exists($0 + "/memory.limit_in_bytes") || File.exists($0 + "/cgroup.controllers")
    }
    static let obstacle: String? = {
        guard let memory else { return "there are no cgroups here" }
        let path = memory + "/kvm-runtime-probe-\(getpid())"
        guard mkdir(path, 0o755) == 0 else { return "no cgroup can be made here" }
        rmdir(path)
        return nil
    }()
}

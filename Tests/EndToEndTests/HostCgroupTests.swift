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

        @Test("it is pinned to the container's processors, weighs what it weighs, and `update` is followed")
        func processors() throws {
            try Host.use { host in
                let path = "/kvm-runtime-tests/\(host.id)"
                let bundle = try host.bundle("echo ready; sleep 100") {
                    $0.set("linux.cgroupsPath", .string(path))
                    $0.set("linux.resources.cpu", ["cpus": "0", "shares": 512])
                }
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                try run.wait("the end of the command") { !run.isRunning }
                for (name, pid) in try host.processes() {
                    let allowed = try Files.text("/proc/\(pid)/status").split(separator: "\n").first {
                        $0.hasPrefix("Cpus_allowed_list:")
                    }
                    #expect(allowed == "Cpus_allowed_list:\t0", "\(name)")
                }
                #expect(try CgroupFacts.holds(path, "cpu.shares 512", "cpu.weight 20"))
                #expect(try CgroupFacts.holds(path, "pids.max 1024", "pids.max 1024"))
                let updated = try host.command("update", "--cpu-share", "256", "--cpu-quota", "50000", host.id)
                #expect(updated.code == 0, "\(updated.err)")
                #expect(try CgroupFacts.holds(path, "cpu.shares 256", "cpu.weight 10"))
                #expect(try CgroupFacts.holds(path, "cpu.cfs_quota_us 50000", "cpu.max 50000 100000"))
                #expect(try host.command("delete", "--force", host.id).code == 0)
                for mount in SystemdLab.mounts { rmdir(mount.directory + "/kvm-runtime-tests") }
            }
        }

        @Test("a quota is there after `create`, and what `update` makes of it stays after `start`")
        func quotaOfCreated() throws {
            try Host.use { host in
                let path = "/kvm-runtime-tests/\(host.id)"
                let bundle = try host.bundle("sleep 100") {
                    $0.set("linux.cgroupsPath", .string(path))
                    $0.set("linux.resources.cpu", ["quota": 150_000, "period": 200_000])
                }
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                let created = try create.finish(readingToTheEnd: false)
                #expect(created.code == 0, "\(created.err)")
                #expect(try CgroupFacts.holds(path, "cpu.cfs_quota_us 150000", "cpu.max 150000 200000"))
                #expect(try CgroupFacts.holds(path, "cpu.cfs_period_us 200000", "cpu.max 150000 200000"))
                #expect(try host.command("update", "--cpu-quota", "180000", host.id).code == 0)
                #expect(try host.command("start", host.id).code == 0)
                #expect(try CgroupFacts.holds(path, "cpu.cfs_quota_us 180000", "cpu.max 180000 200000"))
                #expect(try host.command("delete", "--force", host.id).code == 0)
                for mount in SystemdLab.mounts { rmdir(mount.directory + "/kvm-runtime-tests") }
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
    /// Whether the cgroup has one of two files and in it the value, "file value": that of v1 or that of v2.
    static func holds(_ path: String, _ settings: String...) throws -> Bool {
        for mount in SystemdLab.mounts {
            for setting in settings {
                let words = setting.split(separator: " ", maxSplits: 1).map(String.init)
                let file = mount.directory + path + "/" + words[0]
                if File.exists(file) { return try Files.text(file) == words[1] + "\n" }
            }
        }
        return false
    }

    static let obstacle: String? = {
        guard let memory else { return "there are no cgroups here" }
        let path = memory + "/kvm-runtime-probe-\(getpid())"
        guard mkdir(path, 0o755) == 0 else { return "no cgroup can be made here" }
        rmdir(path)
        return nil
    }()
}

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Fields of config.json that few containers have, each seen to do inside what it says.
    @Suite struct Fields {
        /// All sets of capabilities with these in it.
        private func allow(_ config: inout JSONValue, _ names: String...) {
            for set in ["bounding", "effective", "permitted"] {
                config.set("process.capabilities.\(set)", JSONValue(names))
            }
        }

        @Test func schedulerAndIOPriority() throws {
            // nice, rt_priority and policy of proc(5).
            let script = "awk '{ print $19, $40, $41 }' /proc/self/stat; ionice -p $$"
            let batch = try Host.lines(script) {
                $0.set("process.scheduler", ["policy": "SCHED_BATCH", "nice": 7])
                $0.set("process.ioPriority", ["class": "IOPRIO_CLASS_IDLE", "priority": 0])
            }
            #expect(batch == ["7 0 3", "idle"])
            let realtime = try Host.lines(script) {
                $0.set("process.scheduler", ["policy": "SCHED_FIFO", "priority": 3])
                $0.set("process.ioPriority", ["class": "IOPRIO_CLASS_BE", "priority": 6])
            }
            #expect(realtime == ["0 3 1", "best-effort: prio 6"])
        }

        @Test func personality() throws {
            #expect(try Host.lines("uname -m") { $0.set("linux.personality", ["domain": "LINUX32"]) } == ["i686"])
            #expect(try Host.lines("uname -m") { $0.set("linux.personality", ["domain": "LINUX"]) } == ["x86_64"])
        }

        /// What numa_maps says of memory that has no policy but its process's.
        @Test(
            arguments: [
                ("MPOL_BIND", "0", nil, "bind:0"), ("MPOL_INTERLEAVE", "0", nil, "interleave:0"),
                ("MPOL_PREFERRED", "0", "MPOL_F_STATIC_NODES", "prefer=static:0"),
                ("MPOL_BIND", "0", "MPOL_F_RELATIVE_NODES", "bind=relative:0"),
                ("MPOL_PREFERRED_MANY", "0", nil, "prefer (many):0"), ("MPOL_PREFERRED", "", nil, "local"),
                ("MPOL_LOCAL", "", nil, "local"), ("MPOL_DEFAULT", "", nil, "default"),
            ] as [(String, String, String?, String)])
        func memoryPolicy(mode: String, nodes: String, flag: String?, shown: String) throws {
            let script = "sed 's/^[0-9a-f]* //; s/ \\(file\\|heap\\|stack\\|anon\\|mapped\\).*//' /proc/self/numa_maps"
            let found = try Host.lines(script) {
                $0.set("linux.memoryPolicy", ["mode": .string(mode), "flags": JSONValue(flag.map { [$0] } ?? [])])
                if !nodes.isEmpty { $0.set("linux.memoryPolicy.nodes", .string(nodes)) }
            }
            // The kernel's own pages (vdso) have none.
            #expect(
                !found.isEmpty && Set(found).subtracting(["default"]) == Set([shown]).subtracting(["default"]),
                "\(found)")
        }

        /// As with runc, a process that joins the container has it too.
        @Test func memoryPolicyOfAnExec() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo ready; sleep 100") {
                    $0.set("linux.memoryPolicy", ["mode": "MPOL_INTERLEAVE", "nodes": "0"])
                }
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                let exec = try host.command("exec", host.id, "grep", "-c", "interleave:0", "/proc/self/numa_maps")
                #expect(exec.code == 0 && (Int(exec.lines.first ?? "") ?? 0) > 0, "\(exec)")
                #expect(try host.command("delete", "--force", host.id).code == 0)
            }
        }

        @Test func timeNamespace() throws {
            let lines = try Host.lines("cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time; date +%s") {
                $0.append("linux.namespaces", ["type": "time"])
                $0.set("linux.timeOffsets", ["boottime": ["secs": 1_000_000], "monotonic": ["secs": 5000]])
            }
            #expect((1_000_000...1_000_100).contains(Int(lines.first ?? "") ?? 0), "\(lines)")
            #expect(abs((Int(lines.last ?? "") ?? 0) - Int(Clock.realtimeNanoseconds() / 1_000_000_000)) < 100)
        }

        /// Which processors an exec may use is said of the guest's.
        @Test func execAffinity() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo ready; sleep 100") {
                    $0.set("linux.resources.cpu", ["quota": 200_000, "period": 100_000])
                }
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                func exec(_ affinity: JSONValue) throws -> Outcome {
                    let file = host.directory + "/process.json"
                    let process: JSONValue = [
                        "args": ["grep", "Cpus_allowed_list", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"],
                        "execCPUAffinity": affinity,
                    ]
                    try Files.write(file, process.text(.pretty))
                    return try host.command("exec", "--process", file, host.id)
                }
                let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
                let all = count > 1 ? "0-1" : "0"
                #expect(try exec(["initial": "0", "final": "0"]).out == "Cpus_allowed_list:\t0\n")
                #expect(try exec(["initial": "0"]).out == "Cpus_allowed_list:\t\(all)\n")
                let none = try exec(["final": "999"])
                #expect(none.code == 255 && none.err.contains("process.execCPUAffinity.final"), "\(none)")
                #expect(try host.command("delete", "--force", host.id).code == 0)
            }
        }

        @Test func limitsOfProcessors() throws {
            let lines = try Host.lines(
                "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.max.burst /sys/fs/cgroup/cpu.idle"
            ) {
                $0.append("linux.namespaces", ["type": "cgroup"])
                $0.set("linux.resources.cpu", ["quota": 50_000, "period": 100_000, "burst": 20_000, "idle": 1])
            }
            #expect(lines == ["50000 100000", "20000", "1"])
        }

        @Test func hugePages() throws {
            let lines = try Host.lines("cat /sys/fs/cgroup/hugetlb.2MB.max") {
                $0.append("linux.namespaces", ["type": "cgroup"])
                $0.set("linux.resources.hugepageLimits", [["pageSize": "2MB", "limit": 4_194_304]])
            }
            #expect(lines == ["4194304"])
            try Host.use { host in
                let outcome = try host.run("true") {
                    $0.set("linux.resources.hugepageLimits", [["pageSize": "3MB", "limit": 0]])
                }
                #expect(outcome.code == 1 && outcome.err.contains("hugetlb.3MB.max"), "\(outcome.err)")
            }
        }

        /// The list of devices decides, not whether there is a node.
        @Test func devices() throws {
            let script = """
                mknod /tmp/mem c 1 1; head -c 1 /tmp/mem 2>&1; mknod /tmp/ports c 1 4; head -c 1 /tmp/ports 2>&1
                head -c 1 /dev/zero | od -An -tx1; (echo x > /dev/full) 2>&1; mknod /tmp/k c 1 11
                head -c 1 /tmp/k >/dev/null 2>&1 || echo closed; (echo x > /tmp/k) 2>/dev/null && echo written
                """
            let lines = try Host.lines(script) {
                allow(&$0, "CAP_MKNOD", "CAP_SYS_RAWIO", "CAP_SYSLOG", "CAP_SYS_ADMIN")
                $0.append("mounts", ["destination": "/tmp", "type": "tmpfs", "source": "tmpfs"])
                $0.set(
                    "linux.resources.devices",
                    [
                        ["allow": false, "access": "rwm"],
                        ["allow": true, "type": "c", "major": 1, "minor": 1, "access": "rwm"],
                        ["allow": false, "type": "c", "major": 1, "minor": 1, "access": "r"],
                        ["allow": true, "type": "c", "major": 1, "minor": 11, "access": "w"],
                    ])
            }
            #expect(lines.filter { $0.contains("Operation not permitted") }.count == 2, "\(lines)")
            #expect(lines.contains(" 00") && lines.contains { $0.contains("No space left") }, "\(lines)")
            #expect(lines.suffix(2) == ["closed", "written"], "\(lines)")
            // Everything, as --privileged has it.
            let all = try Host.lines("mknod /tmp/k c 1 11 && head -c 1 /tmp/k > /dev/null && echo open") {
                allow(&$0, "CAP_MKNOD", "CAP_SYSLOG", "CAP_SYS_ADMIN")
                $0.append("mounts", ["destination": "/tmp", "type": "tmpfs", "source": "tmpfs"])
                $0.set("linux.resources.devices", [["allow": true, "access": "rwm"]])
            }
            #expect(all == ["open"])
        }

        /// rro and the like hold for what is mounted below too.
        @Test func recursiveAttributes() throws {
            try Host.use { host in
                let folder = host.directory + "/v"
                try File.makeDirectories(folder + "/below", mode: 0o777)
                let outcome = try host.run("touch /v/x; touch /v/below/y; touch /v/below/z; grep ' /v' /proc/mounts") {
                    $0.append(
                        "mounts",
                        ["destination": "/v", "source": .string(folder), "options": ["rbind", "rro", "rnoexec"]])
                    $0.append(
                        "mounts",
                        [
                            "destination": "/v/below", "type": "tmpfs", "source": "tmpfs",
                            "options": ["rnosuid", "rnodev"],
                        ])
                }
                #expect(outcome.err.contains("/v/x: Read-only"), "\(outcome)")
                #expect(outcome.lines.contains { $0.contains(" /v ") && $0.contains("ro,") && $0.contains("noexec") })
                #expect(
                    outcome.lines.contains {
                        $0.contains(" /v/below ") && $0.contains("nosuid") && $0.contains("nodev")
                    })
            }
        }

        @Test func updateThatWouldKill() throws {
            try Host.use { host in
                let bundle = try host.bundle("head -c 20000000 /dev/zero > /t/f; echo ready; sleep 100") {
                    $0.append("mounts", ["destination": "/t", "type": "tmpfs", "source": "tmpfs"])
                    $0.set("linux.resources.memory", ["limit": 67_108_864, "checkBeforeUpdate": true])
                }
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                let refused = try host.command("update", "--memory", "8388608", host.id)
                #expect(refused.code == 1 && refused.err.contains("unable to set memory limit"), "\(refused)")
                #expect(try host.command("update", "--memory", "50000000", host.id).code == 0)
                #expect(try host.command("delete", "--force", host.id).code == 0)
            }
        }
    }
}

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Fields where the words of the specification and what runc makes of them are easily missed.
    @Suite struct OddFields {
        @Test("a read-only /dev gets its console, and a read-only place its working directory, first")
        func readOnlyPlaces() throws {
            try Host.use { host in
                let terminal = try OuterTerminal(rows: 24, columns: 80)
                let script = "tty; touch /dev/x; touch /ro/x; pwd; ls -l /dev/console | cut -c 1; echo end."
                let bundle = try host.bundle(script, terminal: true) { config in
                    config.set("mounts.1.options", ["nosuid", "mode=755", "size=65536k", "ro"])
                    config.append(
                        "mounts", ["destination": "/ro", "type": "tmpfs", "source": "tmpfs", "options": ["ro"]])
                    config.set("process.cwd", "/ro/inner")
                }
                let run = try host.starting(bundle, on: terminal)
                try run.wait(for: "end.", on: terminal)
                _ = try run.finish()
                let lines = terminal.text.split(separator: "\r\n").map(String.init)
                #expect(lines.contains("touch: /dev/x: Read-only file system"), "\(lines)")
                #expect(lines.contains("touch: /ro/x: Read-only file system"), "\(lines)")
                #expect(lines.contains("/ro/inner") && lines.contains("c"), "\(lines)")
            }
        }

        @Test("what has a device's name and is not that device is an error; what runc leaves there is not")
        func devicesThatAreThere() throws {
            try Host.use { host in
                func bundle(_ content: String, minor: Int) throws -> Bundle {
                    let bundle = try host.bundle("ls -l /opt/u | tr -s ' ' | cut -d ' ' -f 1,5,6") { config in
                        config.append("linux.devices", ["path": "/opt/u", "type": "c", "major": 1, "minor": 3])
                        if minor != 3 {
                            config.append(
                                "linux.devices",
                                ["path": "/opt/u", "type": "c", "major": 1, "minor": .integer(Int64(minor))])
                        }
                        config.set("root.readonly", false)
                    }
                    try File.makeDirectories(bundle.rootfs + "/opt", mode: 0o755)
                    if !content.isEmpty { try Files.write(bundle.rootfs + "/opt/u", content) }
                    return bundle
                }
                let other = try host.run(try bundle("a file of the image", minor: 3))
                #expect(other.code == 1 && other.err.contains("linux.devices[0] \"/opt/u\": file exists"), "\(other)")
                let twice = try host.run(try bundle("", minor: 5))
                #expect(twice.code == 1 && twice.err.contains("linux.devices[1] \"/opt/u\": file exists"), "\(twice)")
                // A share has no nodes, so an empty file is what it is mounted on; the second time that is there.
                let made = try bundle("", minor: 3)
                for _ in 1...2 {
                    let outcome = try host.run(made)
                    #expect(outcome.lines == ["crw-rw-rw- 1, 3"], "\(outcome)")
                }
            }
        }

        @Test func cgroupsTwice() throws {
            let lines = try Host.lines("grep -c ' /sys/fs/cgroup ' /proc/mounts; ls /sys/fs/cgroup/cgroup.procs") {
                $0.append(
                    "mounts",
                    [
                        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                        "options": ["nosuid", "noexec", "nodev", "relatime"],
                    ])
            }
            #expect(lines == ["2", "/sys/fs/cgroup/cgroup.procs"])
        }

        /// As podman has it for systemd on a host with v1.
        @Test func cgroupsOfTheHost() throws {
            let bind: JSONValue = [
                "destination": "/sys/fs/cgroup/systemd", "type": "bind", "source": "/sys/fs/cgroup/systemd",
                "options": ["bind", "nodev", "noexec", "nosuid"],
            ]
            let lines = try Host.lines("mkdir /sys/fs/cgroup/x && echo made; ls -d /sys/fs/cgroup/systemd 2>&1; true") {
                $0.append("linux.namespaces", ["type": "cgroup"])
                $0.append("mounts", bind)
            }
            #expect(lines == ["made", "ls: /sys/fs/cgroup/systemd: No such file or directory"])
        }

        @Test("what is reserved may be more than the guest has; what is used may not")
        func reservedMemory() throws {
            try Host.use { host in
                let bundle = try host.bundle(
                    "dd if=/dev/zero of=/dev/null bs=900M count=0 && echo reserved; cat /proc/sys/vm/overcommit_memory"
                ) {
                    $0.set("linux.resources.memory", ["limit": .integer(64 << 20)])
                }
                let outcome = try host.run(bundle)
                #expect(outcome.lines == ["reserved", "1"], "\(outcome)")
                let used = try host.run("dd if=/dev/zero of=/dev/null bs=200M count=1; echo $?") {
                    $0.set("linux.resources.memory", ["limit": .integer(64 << 20)])
                }
                #expect(used.lines.last == "137", "\(used)")
            }
        }

        @Test("a limit of no processes is one since 1.3, and was none before")
        func noProcesses() throws {
            for (version, expected) in [("1.3.0", "1"), ("1.2.1", "max")] {
                let limit = try Host.lines("read limit </sys/fs/cgroup/pids.max; echo $limit") { config in
                    config.set("ociVersion", .string(version))
                    config.set("linux.resources.pids", ["limit": 0])
                    config.append("linux.namespaces", ["type": "cgroup"])
                }
                #expect(limit == [expected], "\(version)")
            }
        }

        @Test func burstIsTakenBack() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo ready; sleep 1000") { config in
                    config.set("linux.resources.cpu", ["quota": 50000, "period": 100_000, "burst": 20000])
                    config.append("linux.namespaces", ["type": "cgroup"])
                }
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                defer { _ = try? host.command("delete", "--force", host.id) }
                let file = host.directory + "/limits"
                try Files.write(file, #"{"cpu":{"burst":0}}"#)
                #expect(try host.command("update", "--resources", file, host.id).code == 0)
                let burst = try host.command("exec", host.id, "cat", "/sys/fs/cgroup/cpu.max.burst")
                #expect(burst.lines == ["0"], "\(burst)")
            }
        }

        @Test("the letters' case of a field does not matter, as with runc's decoder")
        func letters() throws {
            let lines = try Host.lines("touch /x; cat /proc/self/oom_score_adj; ls /etc | wc -l") { config in
                config.set("root.readonly", nil)
                config.set("root.readOnly", true)
                config.set("process.OOMScoreAdj", 300)
                config.set("linux.maskedPaths", nil)
                config.set("linux.MaskedPaths", ["/etc"])
            }
            #expect(lines == ["300", "0"])
        }

        @Test func tooManySteps() throws {
            try Host.use { host in
                let outcome = try host.run("echo never") {
                    $0.set("linux.maskedPaths", JSONValue((0..<4100).map { "/no/\($0)" }))
                }
                #expect(outcome.code == 1, "\(outcome)")
                #expect(outcome.err.contains("steps; at most 4096 are allowed"), "\(outcome.err)")
            }
        }

        @Test("limits given as files of cgroup v2 make the guest's size as well")
        func sizeByFiles() throws {
            let script = "nproc; awk '/^MemTotal:/ { print ($2 > 900000 && $2 < 1200000) }' /proc/meminfo"
            let lines = try Host.lines(script) {
                $0.set("linux.resources.unified", ["memory.max": "900M", "cpu.max": "150000 100000"])
            }
            #expect(lines == ["2", "1"])
        }
    }
}

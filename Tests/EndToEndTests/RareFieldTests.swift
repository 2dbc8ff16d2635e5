import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What is left of config.json's fields when the ones that most containers have are tested: see
    /// docs/spec-conformance.md.
    @Suite struct RareFields {
        @Test func resources() throws {
            let found = try Host.lines("cd /sys/fs/cgroup; cat memory.max memory.low cpu.weight memory.high pids.max") {
                $0.append("linux.namespaces", ["type": "cgroup"])
                $0.set(
                    "linux.resources",
                    [
                        "memory": ["limit": 67_108_864, "reservation": 33_554_432, "useHierarchy": true],
                        "cpu": ["shares": 512], "pids": ["limit": 100],
                        "unified": .object(["memory.high": "50331648", "pids.max": "77"]),
                    ])
            }
            // What unified says of a file comes last.
            #expect(found == ["67108864", "33554432", "20", "50331648", "77"])
        }

        @Test func kindsOfDevices() throws {
            let found = try Host.lines(
                "stat -c '%F %t:%T %a %u:%g' /dev/pipe /dev/block /dev/raw; echo x | cat > /dev/raw"
            ) {
                $0.set(
                    "linux.devices",
                    [
                        ["path": "/dev/pipe", "type": "p", "fileMode": 0o600, "uid": 3, "gid": 4],
                        ["path": "/dev/block", "type": "b", "major": 7, "minor": 260],
                        ["path": "/dev/raw", "type": "u", "major": 1, "minor": 3],
                    ])
            }
            #expect(
                found == ["fifo 0:0 600 3:4", "block special file 7:104 666 0:0", "character special file 1:3 666 0:0"])
        }

        @Test(arguments: [
            ("shared", "shared:"), ("rshared", "shared:"), ("unbindable", "unbindable"), ("private", "-"),
        ])
        func propagationOfTheRootfs(word: String, shown: String) throws {
            let found = try Host.lines("awk '$5 == \"/\" { print $7 }' /proc/self/mountinfo") {
                $0.set("linux.rootfsPropagation", .string(word))
            }
            #expect(found.count == 1 && found.first?.hasPrefix(shown) == true, "\(found)")
        }

        /// A deadline task can't fork, but with the flag that lets its children be normal ones.
        @Test func deadlineScheduling() throws {
            let script = """
                read -r line < /proc/self/stat; set -- $line; shift 40; echo policy $1
                sed -n 's/^dl\\.\\([a-z]*\\) .*: *\\([0-9]*\\).*/\\1 \\2/p' /proc/$$/sched
                child() { read -r line < /proc/self/stat; set -- $line; shift 40; echo child $1; }
                (child) || echo no child
                """
            func edit(_ flags: JSONValue) -> (inout JSONValue) -> Void {
                {
                    $0.set(
                        "process.scheduler",
                        [
                            "policy": "SCHED_DEADLINE", "flags": flags, "runtime": 10_000_000, "deadline": 50_000_000,
                            "period": 100_000_000,
                        ])
                }
            }
            let found = try Host.lines(script, edit(["SCHED_FLAG_RESET_ON_FORK"]))
            #expect(found.first == "policy 6" && found.last == "child 0", "\(found)")
            try Host.use { host in
                let without = try host.run("echo begun; (echo child); echo end", edit([]))
                #expect(without.out == "begun\n" && without.err.contains("can't fork"), "\(without)")
            }
        }

        @Test func clocks() throws {
            let found = try Host.lines("cat /proc/self/timens_offsets") {
                $0.append("linux.namespaces", ["type": "time"])
                $0.set(
                    "linux.timeOffsets",
                    [
                        "boottime": ["secs": 1000, "nanosecs": 250_000_000],
                        "monotonic": ["secs": 2000, "nanosecs": 500_000_000],
                    ])
            }
            let words = found.map { $0.split(separator: " ").joined(separator: " ") }
            #expect(words == ["monotonic 2000 500000000", "boottime 1000 250000000"])
        }

        @Test(arguments: ["prestart", "createContainer", "poststart", "poststop"])
        func timeoutsOfHooks(kind: String) throws {
            try Host.use { host in
                let bundle = try host.bundle("exec sleep 0.1") {
                    $0.set("hooks.\(kind)", [["path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1]])
                }
                let began = Clock.monotonicNanoseconds()
                let outcome = try host.run(bundle)
                let log = (try? Files.text(host.log)) ?? ""
                #expect((outcome.err + log).contains("\(kind) hook #0 (/bin/sleep): it ran past its timeout of 1 s"))
                #expect((outcome.code == 0) == (kind == "poststop"), "\(outcome)")
                #expect(Clock.monotonicNanoseconds() - began < 50_000_000_000)
            }
        }

        @Test func copyUpAndRemount() throws {
            let script = "grep -c guest /etc/passwd; echo x > /etc/new && ls /etc; touch /data/new 2>&1; true"
            let found = try Host.lines(script) {
                $0.append(
                    "mounts",
                    ["destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "mode=755"]])
                $0.append("mounts", ["destination": "/data", "type": "tmpfs", "source": "tmpfs"])
                $0.append("mounts", ["destination": "/data", "type": "tmpfs", "options": ["remount", "ro"]])
            }
            #expect(found.prefix(4) == ["1", "group", "new", "passwd"], "\(found)")
            #expect(found.contains { $0.contains("/data/new: Read-only file system") }, "\(found)")
        }

        @Test func hardwareOfTheMachine() throws {
            try Host.use { host in
                try host.configure(
                    "[vm]\nhardware = true\nkernels = [\"\(Build.kernel)\"]\ninitrds = [\"\(Build.initramfs)\"]\n")
                let script = "nproc; awk '/^MemTotal/ { print ($2 > 180000 && $2 < 210000) }' /proc/meminfo"
                let outcome = try host.run(script) {
                    $0.set(
                        "vm",
                        [
                            "kernel": ["path": .string(Build.kernel), "initrd": .string(Build.initramfs)],
                            "hwConfig": ["vcpus": 1, "memory": .integer(200 << 20)],
                        ])
                }
                #expect(outcome.lines == ["1", "1"], "\(outcome)")
                let elsewhere = try host.run(script) {
                    $0.set("vm", ["kernel": ["path": .string(Build.kernel), "initrd": "/etc/passwd"]])
                }
                #expect(elsewhere.code == 1 && elsewhere.err.contains("vm.kernel.initrd"), "\(elsewhere)")
            }
        }

        /// "Runtimes MUST ignore consoleSize if terminal is false or unset."
        @Test func consoleSizeWithoutATerminal() throws {
            let found = try Host.lines("echo here") { $0.set("process.consoleSize", ["height": 24, "width": 80]) }
            #expect(found == ["here"])
        }
    }
}

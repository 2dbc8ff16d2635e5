import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// The lab: a true KVM on a machine that has none. QEMU's emulation knows AMD's SVM, and our guest kernel has KVM, so
    /// a guest with this machine's root as its own is a host with a /dev/kvm that is fit.
    @Suite(.enabled(if: Lab.isComplete, Lab.reason))
    struct NestedKVMTests {
        @Test("on a true KVM the probe says fit, and a container runs on it")
        func container() throws {
            try Host.use { host in
                let bundle = try host.bundle(
                    "echo clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource); exit 3")
                let lab = try Lab(host, bundle)
                let words = try lab.run()
                #expect(words.contains("probe: KVM runs guest code"), "\(words)")
                // Emulated guests have no kvm-clock.
                #expect(words.contains("clock kvm-clock"), "\(words)")
                #expect(words.contains("exit code 3"), "\(words)")
                #expect(words.contains("left behind: 0"), "\(words)")
            }
        }

        @Test("under v2 with all its controllers the sandbox is in its cgroup, with its limits, and leaves none")
        func unified() throws {
            try Host.use { host in
                let bundle = try host.bundle("sleep 1000") {
                    $0.set("linux.cgroupsPath", "/above/one")
                    $0.set("linux.resources.memory", ["limit": 67_108_864])
                    $0.set("linux.resources.cpu", ["shares": 512, "quota": 80000, "period": 100_000, "cpus": "0"])
                }
                let words = try Lab(host, script: Self.unified(bundle)).run()
                #expect(words.contains("members: kvm-runtime kvm-runtime kvm-vmm qemu-system-x86\r\n"), "\(words)")
                let memory = words.split(separator: "memory: ").dropFirst().first?.prefix { $0.isNumber }
                #expect((200 << 20...1 << 30).contains(memory.flatMap { Int($0) } ?? 0), "\(words)")
                #expect(words.contains("limits: 80000 100000 20 0 1024\r\n"), "\(words)")
                #expect(words.contains("updated: 30000 100000 10\r\n"), "\(words)")
                #expect(words.contains("left behind: 0 in above, 0 in containers\r\n"), "\(words)")
                #expect(!words.contains("hold in the guest"), "\(words)")
            }
        }

        @Test("what the host kills for want of memory is said; the guest runs out first")
        func memory() throws {
            try Host.use { host in
                // All of its limit, and the host's page cache beside it.
                let fill =
                    "dd if=/dev/zero of=/dev/null bs=90M count=1; cat /host/busybox >/dev/null; echo filled; sleep 1000"
                let bundle = try host.bundle(fill) {
                    $0.set("linux.cgroupsPath", "/one")
                    $0.set("linux.resources.memory", ["limit": 104_857_600])
                    $0.append(
                        "mounts",
                        ["destination": "/host", "type": "bind", "source": "/bin", "options": ["bind", "ro"]])
                }
                let words = try Lab(
                    host,
                    script: """
                        mount -t cgroup2 cgroup2 /sys/fs/cgroup
                        \(Lab.runtime) run --bundle \(bundle.path) nested </dev/null >/run/out 2>&1 &
                        for i in {1..300}; do grep -q filled /run/out && break; sleep 0.1; done
                        echo "peak: $(cat /sys/fs/cgroup/one/memory.peak) of $(cat /sys/fs/cgroup/one/memory.max)"
                        echo 20M >/sys/fs/cgroup/one/memory.max
                        wait $!
                        echo "code $?"
                        cat /run/out

                        """
                ).run()
                let figures = try #require(try /peak: (\d+) of (\d+)/.firstMatch(in: words), "\(words)")
                let (peak, limit) = (try #require(Int(figures.1)), try #require(Int(figures.2)))
                // What the container has filled has come out of the host's memory.
                #expect(peak > 90 << 20 && peak < limit, "\(words)")
                #expect(words.contains("filled"), "\(words)")
                #expect(words.contains("code 137\r\n"), "\(words)")
                #expect(words.contains("the host's kernel killed "), "\(words)")
                #expect(words.contains("for want of memory"), "\(words)")
            }
        }

        private static func unified(_ bundle: Bundle) -> String {
            """
            mount -t cgroup2 cgroup2 /sys/fs/cgroup
            cd /sys/fs/cgroup
            \(Lab.runtime) run --detach --bundle \(bundle.path) nested </dev/null
            # KVM puts a thread of the kernel beside each of its machines.
            echo "members: $(for pid in $(cat above/one/cgroup.procs); do cat /proc/$pid/comm; done | grep -v ^kvm-nx | \
                sort | xargs)"
            cd above/one
            echo "memory: $(cat memory.max)"
            echo "limits: $(cat cpu.max cpu.weight cpuset.cpus pids.max | xargs)"
            \(Lab.runtime) update --cpu-quota 30000 --cpu-share 256 nested
            echo "updated: $(cat cpu.max cpu.weight | xargs)"
            cd /
            \(Lab.runtime) delete --force nested
            echo "left behind: $(find /sys/fs/cgroup/above -mindepth 1 -type d | wc -l) in above," \
                "$(ls /run/containers | wc -l) in containers"

            """
        }

        @Test("and so it is where systemd has v2", .enabled(if: SystemdLab.missing.isEmpty, SystemdLab.reason))
        func systemd() throws {
            try Host.use { host in
                let (bundle, refused) = try SystemdScopes.bundles(host)
                let service = SystemdScopes.service(Lab.runtime + " --systemd-cgroup --log /run/log", bundle, refused)
                _ = try SystemdLab(host, .unified, service: service)
                let mounting = "mount -t cgroup2 cgroup2 /sys/fs/cgroup\n" + Lab.configuring
                try Files.write(
                    host.directory + "/systemd.sh", SystemdLab.firstProcess(host.directory, mounting), mode: 0o755)
                _ = try Lab(host, script: "unshare --fork --pid --mount \(host.directory)/systemd.sh\n").run()
                let facts = try SystemdScopes.check(try Files.text(host.directory + "/service.out"))
                let memory = try #require(facts["memory"]?.first?.split(separator: " "))
                #expect(memory.count == 3 && memory[0] == memory[2] && (Int(memory[2]) ?? 0) > 200 << 20, "\(memory)")
                #expect(facts["quota"] == ["300ms 30000 100000"] && facts["weight"] == ["10 [not set] 10"], "\(facts)")
                #expect(facts["cpus"] == ["0"], "\(facts)")
            }
        }
    }
}

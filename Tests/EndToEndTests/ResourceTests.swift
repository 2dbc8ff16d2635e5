import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// linux.resources: what the container may use, and how large its guest is.
    @Suite struct Resources {
        /// 64 MiB, 20 processes, a cgroup to look at.
        private func limited(_ config: inout JSONValue) {
            config.set("linux.resources.memory", ["limit": .integer(64 << 20)])
            config.set("linux.resources.pids", ["limit": 20])
            config.append("linux.namespaces", ["type": "cgroup"])
        }

        @Test func memoryAndProcessLimitsAreExact() throws {
            try Host.use { host in
                let facts = Facts(
                    try host.run(
                        """
                        echo memory=$(cat /sys/fs/cgroup/memory.max); echo pids=$(cat /sys/fs/cgroup/pids.max)
                        echo guest=$(awk '/^MemTotal:/ { print ($2 > 66000 && $2 < 200000) }' /proc/meminfo)
                        # All that the limit allows is there to be had.
                        dd if=/dev/zero of=/dev/shm/file bs=64k count=800 2>/dev/null; echo used=$(wc -c </dev/shm/file)
                        (for i in $(seq 30); do sleep 1 & done) 2>&1 | grep -c fork | sed s/^/failed=/
                        """, limited))
                #expect(facts["memory"] == "67108864")
                #expect(facts["pids"] == "20")
                #expect(facts["guest"] == "1")
                #expect(facts["used"] == "52428800")
                #expect(facts["failed"] == "1")
            }
        }

        /// The code says that something was killed, and a line says why: the log's, or where there is none, stderr's.
        @Test func tooMuchMemoryIsKilledAndTold() throws {
            try Host.use { host in
                let bundle = try host.bundle { config in
                    limited(&config)
                    config.set("process.args", ["/bin/dd", "if=/dev/zero", "of=/data/file", "bs=64k"])
                    config.append(
                        "mounts",
                        [
                            "destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["size=512m"],
                        ])
                }
                #expect(try host.run(bundle).status == .exited(code: 128 + SIGKILL))
                let words =
                    "container \(host.id) ran out of memory: the guest's kernel killed a process of it, "
                    + "at the container's memory limit"
                #expect(try Files.text(host.log).split(separator: "\n").count { $0.contains(words) } == 1)
                // A container without a limit has the guest's memory.
                try host.configure("[guest]\ndefault_memory_mib = 96\n")
                host.globals.removeAll { $0 == "--log" || $0 == host.log }
                let free = try host.run("tail /dev/zero; echo tail $?")
                #expect(free.code == 0 && free.out == "tail 137\n", "\(free.err)")
                let told = free.complaints.filter {
                    $0.hasPrefix("kvm-runtime: ") && !$0.contains("software emulation")
                }
                #expect(
                    told == [
                        "kvm-runtime: warning: container \(host.id) ran out of memory: the guest's kernel killed a "
                            + "process of it, with all of the guest's 96 MiB in use"
                    ], "\(free.err)")
            }
        }

        /// Without a limit too it is a process that ends, and not the guest.
        @Test func allOfTheGuestsMemory() throws {
            try Host.use { host in
                try host.configure("[guest]\ndefault_memory_mib = 128\n")
                let bundle = try host.bundle {
                    $0.set("process.args", ["/bin/dd", "if=/dev/zero", "of=/data/file", "bs=64k"])
                    $0.append(
                        "mounts",
                        ["destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["size=512m"]])
                }
                let outcome = try host.run(bundle)
                #expect(outcome.console.isEmpty && outcome.code == 137, "\(outcome)")
            }
        }

        @Test func quotaDecidesTheNumberOfCPUs() throws {
            let cpus = sysconf(Int32(_SC_NPROCESSORS_ONLN))
            try Host.use { host in
                let facts = Facts(
                    try host.run("echo cpus=$(nproc); echo max=$(cat /sys/fs/cgroup/cpu.max)") { config in
                        config.set("linux.resources.cpu", ["quota": 150_000, "period": 100_000, "shares": 512])
                        config.append("linux.namespaces", ["type": "cgroup"])
                    })
                #expect(facts["cpus"] == "\(min(2, cpus))")
                #expect(facts["max"] == "150000 100000")
            }
        }

        @Test func cpusetDecidesTheNumberOfCPUs() throws {
            let cpus = sysconf(Int32(_SC_NPROCESSORS_ONLN))
            try Host.use { host in
                let outcome = try host.run("nproc") { $0.set("linux.resources.cpu", ["cpus": "0"]) }
                #expect(outcome.out == "1\n", "\(outcome.err)")
                // Those that the host does not have are an error, as with runc.
                let beyond = try host.run("nproc") { $0.set("linux.resources.cpu", ["cpus": .string("0,\(cpus)")]) }
                #expect(beyond.code == 1 && beyond.err.contains("cpuset.cpus"), "\(beyond.err)")
            }
        }

        @Test func configurationFileDecidesWithoutLimits() throws {
            try Host.use { host in
                try host.configure(
                    "[guest]\ndefault_memory_mib = 160\ndefault_vcpus = 1\nkernel_parameters = [\"e2e.marker=17\"]\n")
                let facts = Facts(
                    try host.run(
                        """
                        echo cpus=$(nproc); echo memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
                        echo parameter=$(grep -c 'e2e.marker=17' /proc/cmdline)
                        """))
                #expect(facts["cpus"] == "1")
                #expect(facts["parameter"] == "1")
                let memory = try #require(facts["memory"].flatMap { Int($0) })
                #expect((100...160).contains(memory), "\(memory) MiB")
            }
        }

        @Test func smallGuestLeavesRoomForTheContainer() throws {
            try Host.use { host in
                try host.configure("[guest]\ndefault_memory_mib = 128\n")
                let facts = Facts(
                    try host.run(
                        """
                        echo free=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
                        echo own=$(cat /sys/fs/cgroup/memory.current)
                        """
                    ) { $0.append("linux.namespaces", ["type": "cgroup"]) })
                let free = try #require(facts["free"].flatMap { Int($0) })
                let own = try #require(facts["own"].flatMap { Int($0) })
                #expect(free * 1024 + own >= 85_000_000, "\(free) KiB are free, and \(own) bytes the container's")
            }
        }
    }
}

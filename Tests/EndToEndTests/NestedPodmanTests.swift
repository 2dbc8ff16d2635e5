import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// podman as on a machine of today: a true KVM, and a systemd that has v2 with all its controllers.
    @Suite(
        .enabled(if: Lab.isComplete, Lab.reason), .enabled(if: SystemdLab.missing.isEmpty, SystemdLab.reason),
        .enabled(if: obstacle == nil, "\(obstacle ?? "")"))
    struct NestedPodman {
        @Test func aScopeWithLimits() throws {
            try Host.use { host in
                // An image would have to be unpacked first, which is half a minute there.
                let bundle = try host.bundle("true")
                let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
                let service = """
                    export HOME=/root TMPDIR=/run
                    p() {
                        podman --root /run/store --runroot /run/runroot --storage-driver overlay --tmpdir /run/p \
                            --cgroup-manager systemd --events-backend file --runtime \(Build.binary) \
                            --runtime-flag config=/run/config.toml "$@"
                    }
                    p run -d --cidfile /run/id --network none --memory 64m --cpus 0.5 --ulimit nofile=1024:1024 \
                        --ulimit nproc=4096:4096 --rootfs \(bundle.rootfs) sleep 1000 >/dev/null
                    id=$(cat /run/id)
                    cd /sys/fs/cgroup/machine.slice/libpod-$id.scope
                    echo "limits=$(cat memory.max cpu.max pids.max | xargs)"
                    # 0 is a thread of the kernel that KVM puts beside its machines.
                    echo "members=$(for pid in $(grep -v '^0$' cgroup.procs); do cat /proc/$pid/comm; done | sort | xargs)"
                    cd /
                    echo "exec=$(p exec $id sh -c 'echo $(cat /proc/1/comm \(clock)); exit 3') $?"
                    p rm --force --time 0 $id >/dev/null
                    echo "removed=$(systemctl show libpod-$id.scope --property ActiveState --value)"
                    echo "left=$(find /sys/fs/cgroup -name "libpod-*" | wc -l)"

                    """
                _ = try SystemdLab(host, .unified, service: service)
                let mounting = "mount -t cgroup2 cgroup2 /sys/fs/cgroup\n" + Lab.configuring
                try Files.write(
                    host.directory + "/systemd.sh", SystemdLab.firstProcess(host.directory, mounting), mode: 0o755)
                let console = try Lab(
                    host,
                    script: """
                        mkdir -p /dev/pts /dev/shm
                        mount -t devpts devpts /dev/pts
                        mount -t tmpfs tmpfs /dev/shm
                        unshare --fork --pid --mount \(host.directory)/systemd.sh

                        """
                ).run()
                let printed = try Files.text(host.directory + "/service.out")
                let facts = Facts(Outcome(status: .exited(code: 0), stdout: Array(printed.utf8), stderr: []))
                let all = "\(printed) \(console)"
                let limits = facts["limits"]?.split(separator: " ").map(String.init) ?? []
                #expect(limits.dropFirst() == ["50000", "100000", "1024"], "\(all)")
                #expect(limits.first.flatMap { Int($0) }.map { $0 > 200 << 20 && $0 < 1 << 30 } == true, "\(all)")
                #expect(facts["members"] == "kvm-runtime kvm-runtime kvm-vmm qemu-system-x86", "\(all)")
                #expect(facts["exec"] == "sleep kvm-clock 3", "\(all)")
                #expect(facts["removed"] == "inactive" && facts["left"] == "0", "\(all)")
            }
        }
    }
}

private let obstacle = Clients.obstacle("podman", "conmon")

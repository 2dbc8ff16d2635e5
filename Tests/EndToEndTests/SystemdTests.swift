import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// `--systemd-cgroup` where systemd runs: it is asked for a scope, and keeps what we set.
    @Suite(.enabled(if: SystemdLab.isComplete, SystemdLab.reason)) struct SystemdScopes {
        static let scope = "test-one.scope"

        /// A script that makes containers in the scope, and prints what is to be seen as `name=value`.
        static func service(_ runtime: String, _ bundle: Bundle, _ refused: Bundle) -> String {
            """
            run() { \(runtime) run --detach --bundle \(bundle.path) "$1" </dev/null >/dev/null; }
            places() { find /sys/fs/cgroup -type d -name \(scope); }
            show() { systemctl show \(scope) --property "$1" --value; }
            say() { echo "$1=$(show ActiveState) $(show Slice) $(places | wc -l) places"; }
            values() { for place in $(places); do cat $place/$1 2>/dev/null; done; }
            # 0 is one from outside of this pid namespace: KVM puts a thread of the kernel beside each of its machines.
            processes() { grep -v '^0$' $1/cgroup.procs; }
            members() {
                for place in $(places); do
                    echo "$1=$(for pid in $(processes $place); do cat /proc/$pid/comm; done | sort | xargs)"
                done
            }
            run one || exit
            say started
            members members
            echo "delegate=$(show Delegate) tasks=$(show TasksMax) description=$(show Description)"
            echo "memory=$(show MemoryMax) $(show MemoryLimit) $(values memory.max)$(values memory.limit_in_bytes)"
            echo "second=$(\(runtime) run --detach --bundle \(bundle.path) two </dev/null 2>&1)"
            echo "update=$(\(runtime) update --cpu-quota 30000 --cpu-share 256 one 2>&1)"
            systemctl daemon-reload
            echo "quota=$(show CPUQuotaPerSecUSec) $(values cpu.max)$(values cpu.cfs_quota_us)"
            echo "weight=$(show CPUWeight) $(show CPUShares) $(values cpu.weight)$(values cpu.shares)"
            echo "cpus=$(values cpuset.cpus.effective)$(values cpuset.effective_cpus)"
            members kept
            echo "delete=$(\(runtime) delete --force one 2>&1)$?"
            say deleted
            run one || exit
            for place in $(places); do kill -9 $(processes $place) 2>/dev/null; done
            echo "delete=$(\(runtime) delete --force one 2>&1)$?"
            say killed
            echo "foreground=$(\(runtime) run --bundle \(bundle.path)-short one </dev/null 2>&1)"
            say ended
            echo "refused=$(\(runtime) run --bundle \(refused.path) bad </dev/null 2>&1)"
            echo "left=$(ls /run/containers | wc -l)"

            """
        }

        static func bundles(_ host: Host) throws -> (Bundle, Bundle) {
            let edit: (inout JSONValue) -> Void = {
                $0.set("linux.cgroupsPath", "machine-lab.slice:test:one")
                $0.set("linux.resources.memory", ["limit": 67_108_864])
                $0.set("linux.resources.cpu", ["shares": 512, "quota": 80000, "period": 100_000, "cpus": "0"])
            }
            let bundle = try host.bundle("sleep 100", edit)
            _ = try Bundle(at: bundle.path + "-short", script: "echo ready; exit", edit: edit)
            return (bundle, try host.bundle("true") { $0.set("linux.cgroupsPath", "machine.slice:te st:one") })
        }

        static func check(_ printed: String) throws -> [String: [String]] {
            var facts: [String: [String]] = [:]
            for line in printed.split(separator: "\n") {
                let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                if parts.count == 2 { facts[parts[0], default: []].append(parts[1]) }
            }
            let all = "\(printed)"
            // The supervisor was started as /proc/self/exe.
            let sandbox = "kvm-runtime kvm-runtime kvm-vmm qemu-system-x86"
            let started = try #require(facts["started"]?.first, "\(all)")
            #expect(started.hasPrefix("active machine-lab.slice ") && !started.hasSuffix(" 0 places"), "\(all)")
            for name in ["members", "kept"] {
                #expect(facts[name]?.isEmpty == false && facts[name]?.allSatisfy { $0 == sandbox } == true, "\(all)")
            }
            #expect(facts["delegate"] == ["yes tasks=1024 description=kvm-runtime container one"], "\(all)")
            #expect(facts["second"]?.first?.contains("cgroup is not empty") == true, "\(all)")
            #expect(facts["update"] == [""] && facts["delete"] == ["0", "0"], "\(all)")
            #expect(facts["quota"]?.first?.hasPrefix("300ms ") == true, "\(all)")
            for name in ["deleted", "killed", "ended"] {
                #expect(facts[name] == ["inactive  0 places"], "\(name): \(all)")
            }
            #expect(facts["foreground"] == ["ready"], "\(all)")
            #expect(
                facts["refused"]?.first?.contains("systemd can't start the unit te st-one.scope: Invalid unit name")
                    == true,
                "\(all)")
            #expect(facts["left"] == ["0"], "\(all)")
            return facts
        }

        @Test(
            "a scope has the sandbox's processes and limits, and goes with the container",
            arguments: SystemdLab.Form.allCases)
        func scope(form: SystemdLab.Form) throws {
            guard form == .unified || SystemdLab.hasHybrid else { try Test.cancel("v1 is not mounted here") }
            try Host.use { host in
                let (bundle, refused) = try Self.bundles(host)
                let runtime = "\(Build.binary) --systemd-cgroup --log /run/log --root /run/containers"
                let lab = try SystemdLab(host, form, service: Self.service(runtime, bundle, refused))
                let facts = try Self.check(try lab.run())
                guard form == .hybrid else { return }
                let memory = try #require(facts["memory"]?.first?.split(separator: " "))
                #expect(memory.count == 3 && memory[1] == memory[2] && (Int(memory[2]) ?? 0) > 200 << 20, "\(memory)")
                // Of v2, then of v1.
                #expect(facts["quota"] == ["300ms 30000"] && facts["weight"] == ["[not set] 256 256"], "\(facts)")
                #expect(facts["cpus"] == ["0"], "\(facts)")
            }
        }
    }
}

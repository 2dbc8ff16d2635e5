import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// podman and containerd where systemd runs and they leave cgroups to it: containers are scopes, a pod is a slice.
    @Suite(.enabled(if: SystemdLab.isComplete, SystemdLab.reason)) struct SystemdClients {
        /// The X
        private static let machine = "kvm-runtime kvm-runtime kvm-vmm qemu-system-x86"

        /// Who is in a cgroup of this name, wherever that is mounted, and a unit's state.
        private static let beginning = """
            export HOME=/root
            places() { find /sys/fs/cgroup -type d -name "$1"; }
            members() { for place in $(places "$1"); do
                names=$(for pid in $(cat $place/cgroup.procs); do cat /proc/$pid/comm; done | sort | xargs)
                echo "${names:-nobody in $place}"
            done | sort -u; }
            show() { systemctl show "$1" --property "$2" --value; }
            until_is() { for i in {1..200}; do [[ $(eval "$2") == "$1" ]] && return; sleep 0.1; done; }
            # Once one of v1's directories was still empty here.
            machine() { until_is "\(machine)" "members $1"; members "$1"; }

            """
        private static func run(
            _ form: SystemdLab.Form, _ archive: String, _ script: (_ host: Host, _ image: String) throws -> String
        ) throws -> Facts {
            guard form == .unified || SystemdLab.hasHybrid else { try Test.cancel("v1 is not mounted here") }
            return try Host.use { host in
                let image = try Clients(host.directory + "/c").makeImage(archive)
                let lab = try SystemdLab(host, form, service: beginning + script(host, image))
                return Facts(Outcome(status: .exited(code: 0), stdout: Array(try lab.run().utf8), stderr: []))
            }
        }

        private static func podman(_ host: Host, _ image: String) throws -> String {
            try Files.write(
                host.directory + "/containers.conf",
                "[containers]\ndefault_ulimits = [\"nofile=1024:1024\",\"nproc=4096:4096\"]\n")
            func container(_ name: String, _ script: String) -> String {
                "  - name: \(name)\n    image: \(Clients.image)\n    imagePullPolicy: Never\n"
                    + "    command: [\"sh\", \"-c\", \"\(script)\"]\n"
            }
            try Files.write(
                host.directory + "/pod.yaml",
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: mypod\nspec:\n  containers:\n"
                    + container("server", "while :; do nc -l -p 5000 -e echo from-server; done")
                    + container("client", "until nc 127.0.0.1 5000 </dev/null; do sleep 0.1; done; sleep 1000"))
            return """
                export CONTAINERS_CONF=\(host.directory)/containers.conf TMPDIR=/run
                p() {
                    podman --root \(host.directory)/store --runroot /run/store --storage-driver overlay --tmpdir /run/p \
                        --cgroup-manager systemd --events-backend file --runtime \(Build.binary) "$@"
                }
                p load --quiet --input \(image)
                echo "run=$(p run --rm --network none \(Clients.image) sh -c 'echo out; exit 5') $?"
                p run -d --name aa --network none --memory 64m \(Clients.image) sleep 1000 >/dev/null
                id=$(p inspect aa --format '{{.Id}}')
                scope=libpod-$id.scope
                echo "scope=$(show $scope ActiveState) $(show $scope Slice)"
                echo "members=$(machine $scope)"
                echo "path=$(p inspect aa --format '{{.State.CgroupPath}}' | sed s/$id/ID/)"
                echo "exec=$(p exec aa sh -c 'cat /proc/1/comm; exit 3') $?"
                p rm --force --time 0 aa >/dev/null
                echo "removed=$(show $scope ActiveState) $(places $scope | wc -l)"

                p play kube --network none \(host.directory)/pod.yaml >/dev/null
                until_is from-server 'p logs mypod-client 2>/dev/null'
                echo "pod=$(p logs mypod-client 2>/dev/null)"
                slice=machine-libpod_pod_$(p pod inspect mypod --format '{{.ID}}').slice
                echo "slice=$(show $slice ActiveState) $(show $slice Slice)"
                scopes=$(systemctl list-units --plain --no-legend 'libpod-*.scope' | cut -d ' ' -f 1)
                for scope in $scopes; do echo "in-slice=$([[ $(show $scope Slice) == $slice ]] && members $scope)"; done
                p pod rm --force --time 0 mypod >/dev/null
                echo "pod-removed=$(show $slice ActiveState) $(for scope in $scopes; do places $scope; done | wc -l)"

                """
        }

        @Test(arguments: SystemdLab.Form.allCases) func podman(form: SystemdLab.Form) throws {
            if let obstacle = PodmanPlace.obstacle { try Test.cancel("\(obstacle)") }
            let facts = try Self.run(form, "docker", Self.podman)
            let all = "\(facts.outcome)"
            #expect(facts["run"] == "out 5", "\(all)")
            #expect(facts["scope"] == "active machine.slice" && facts["members"] == Self.machine, "\(all)")
            #expect(facts["path"] == "/machine.slice/libpod-ID.scope", "\(all)")
            #expect(facts["exec"] == "sleep 3" && facts["removed"] == "inactive 0", "\(all)")
            #expect(facts["pod"] == "from-server" && facts["slice"] == "active machine.slice", "\(all)")
            // One machine for the three.
            let member = "kvm-runtime kvm-runtime"
            let members = facts["in-slice"]?.split(separator: "\n").map(String.init).sorted()
            #expect(members == [member, member, Self.machine], "\(all)")
            #expect(facts["pod-removed"] == "inactive 0", "\(all)")
        }

        private static func containerd(_ host: Host, _ image: String) throws -> String {
            try Files.write(
                host.directory + "/containerd.toml",
                """
                version = 2
                root = "\(host.directory)/store"
                state = "/run/c/state"
                disabled_plugins = ["io.containerd.grpc.v1.cri"]
                [grpc]
                address = "/run/c/sock"
                [ttrpc]
                address = "/run/c/ttrpc"
                """)
            return """
                mkdir /run/c
                containerd --config \(host.directory)/containerd.toml --log-level error &>\(host.directory)/log &
                c() { ctr --address /run/c/sock --namespace lab "$@"; }
                for i in {1..200}; do c version &>/dev/null && break; sleep 0.1; done
                c image import \(image) >/dev/null
                options="--runc-binary \(Build.binary) --runc-systemd-cgroup --cgroup machine-lab.slice:ctr"
                echo "run=$(c run --rm $options:f \(Clients.image) f sh -c 'echo out; exit 5') $?"
                echo "detached=$(c run -d $options:d \(Clients.image) d sleep 1000) $?"
                scope=ctr-d.scope
                echo "scope=$(show $scope ActiveState) $(show $scope Slice)"
                echo "members=$(machine $scope)"
                echo "exec=$(c task exec --exec-id e d sh -c 'cat /proc/1/comm; exit 3') $?"
                c task kill --signal KILL d
                until_is STOPPED "c task list | tail -n 1 | awk '{ print \\$3 }'"
                echo "deleted=$(c task delete d 2>&1 | grep -o 'code [0-9]*')"
                c containers rm d
                echo "removed=$(show $scope ActiveState) $(places $scope | wc -l)"
                kill %1; wait %1

                """
        }

        @Test(arguments: SystemdLab.Form.allCases) func containerd(form: SystemdLab.Form) throws {
            if let obstacle = ContainerdPlace.obstacle { try Test.cancel("\(obstacle)") }
            let facts = try Self.run(form, "oci", Self.containerd)
            let all = "\(facts.outcome)"
            #expect(facts["run"] == "out 5" && facts["detached"] == " 0", "\(all)")
            #expect(facts["scope"] == "active machine-lab.slice" && facts["members"] == Self.machine, "\(all)")
            #expect(facts["exec"] == "sleep 3" && facts["deleted"] == "code 137", "\(all)")
            #expect(facts["removed"] == "inactive 0", "\(all)")
        }
    }
}

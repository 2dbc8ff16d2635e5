import Glibc
import JSON
import LinuxSys
import OCISpec
import Testing

extension EndToEnd {
    /// Docker in a container of ours: this machine's dockerd, privileged, with its data on a disk of its own.
    @Suite(.enabled(if: obstacle == nil, "\(obstacle ?? "")")) struct DockerInside {
        /// What a privileged container of a client is, and that with a disk.
        private func bundle(_ host: Host, _ images: Images, disk: String) throws -> Bundle {
            let all = JSONValue.array(CapabilitySet.names.map { .string($0) })
            // With processes in it the root hands no memory down: as in Docker's own image of Docker, they move aside. An exec
            // may come between.
            let script = """
                cd /sys/fs/cgroup && mkdir daemon && echo $$ >daemon/cgroup.procs
                controllers=$(printf '+%s ' $(cat cgroup.controllers))
                until echo "$controllers" >cgroup.subtree_control; do sleep 0.1; done
                exec dockerd --iptables=false --ip6tables=false --bridge=none >/log 2>&1
                """
            let bundle = try host.bundleOfThisMachine { config in
                config.set("process.args", ["/bin/bash", "-c", .string(script)])
                config.set("process.env", ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"])
                for set in ["bounding", "effective", "permitted"] { config.set("process.capabilities.\(set)", all) }
                config.set("linux.maskedPaths", nil)
                config.set("linux.readonlyPaths", nil)
                config.set("linux.resources.devices", [["allow": true, "access": "rwm"]])
                config.set("linux.resources.memory", ["limit": 1_073_741_824])
                for (index, mount) in (config["mounts"]?.elements ?? []).enumerated() where mount["type"] == "sysfs" {
                    config.set("mounts.\(index).options", ["nosuid", "noexec", "nodev"])
                }
                config.append(
                    "mounts",
                    ["destination": "/images", "source": .string(images.directory), "options": ["rbind", "ro"]])
            }
            try images.annotate(bundle, [Images.disk + "docker": disk + ",ext4,/var/lib/docker"])
            return bundle
        }

        @Test func runsAContainer() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try Clients(host.directory + "/c").makeImage("docker")
                try #require(rename(image, images.directory + "/image.tar") == 0)
                let disk = try images.make("ext4", of: nil, size: "128M")
                let bundle = try bundle(host, images, disk: disk)
                #expect(try host.starting(bundle, ["--detach"]).finish(readingToTheEnd: false).code == 0)
                func docker(_ words: String...) throws -> Outcome {
                    try host.start(["exec", host.id, "docker"] + words).finish()
                }
                let isUp = try eventually(within: 90) { try docker("version").code == 0 }
                let log = (try? Files.text(bundle.rootfs + "/log").suffix(3000)) ?? ""
                try #require(isUp, "\(log)")
                let info = try docker("info", "--format", "{{.Driver}} {{.CgroupVersion}} {{.DockerRootDir}}")
                #expect(info.out == "overlay2 2 /var/lib/docker\n", "\(info)")
                let load = try docker("load", "--input", "/images/image.tar")
                #expect(load.code == 0 && load.out == "Loaded image: kvm-test:latest\n", "\(load)")

                // Its output, its limits and its exit code have come through both.
                let script = "echo out; echo err >&2; cat /sys/fs/cgroup/memory.max; uname -r; exit 5"
                let run = try docker(
                    "run", "--rm", "--network", "none", "--memory", "32m", "kvm-test", "sh", "-c", script)
                let kernel = try host.command("exec", host.id, "uname", "-r").out
                #expect(run.code == 5 && run.out == "out\n33554432\n" + kernel, "\(run)")
                #expect(run.lines.last?.hasSuffix("-kvm-runtime") == true && run.err.hasSuffix("err\n"), "\(run)")

                #expect(
                    try docker("run", "-d", "--name", "aa", "--network", "none", "kvm-test", "sleep", "99").code == 0)
                let exec = try docker("exec", "--user", "1000", "aa", "sh", "-c", "id -u; cat /proc/1/comm; exit 3")
                #expect(exec.code == 3 && exec.out == "1000\nsleep\n", "\(exec)")
                #expect(try docker("rm", "--force", "aa").code == 0)

                // The daemon's end is the container's, and its data are on the disk.
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                #expect(eventually(within: 60) { (try? host.status()) == "stopped" })
                let record = try JSONValue.parse(try File.read("\(host.root)/\(host.id)/state.json", limit: 1 << 20))
                #expect(record["exitCode"] == 0)
                #expect(try host.command("delete", host.id).code == 0)
                #expect(try images.isSound(disk))
                let repositories = try images.file("/image/overlay2/repositories.json", in: disk)
                #expect(repositories.contains("kvm-test:latest"), "\(repositories)")
            }
        }
    }
}

private let obstacle =
    Images.obstacle
    ?? Clients.obstacle("dockerd", "docker", "containerd", "containerd-shim-runc-v2", "runc", "umoci", "skopeo")

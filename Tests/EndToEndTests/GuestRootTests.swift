import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// `vm.image`: the guest's own root file system, seen from a container that may look there, and by what the guest's
    /// kernel runs there.
    @Suite(.enabled(if: Images.obstacle == nil, Images.reason)) struct GuestRoot {
        /// What the guest is to have as its root: a marker, and a program for the kernel to run, which writes to that root
        /// and says what is there, in the one place that both sides see.
        private func makeTree(_ host: Host) throws -> String {
            let tree = try host.bundle("never").rootfs
            try Files.write(tree + "/marker", "from-the-image\n")
            let program = """
                #!/bin/sh
                cat >/core
                read -r word </marker
                [ -s /core ] && [ -e /proc/1/status ] && [ -d /sys/fs/cgroup ] && [ -c /dev/null ] && [ -d /run/kvm ] &&
                    echo "$word" >/proc/sys/kernel/core_pattern
                """
            try Files.write(tree + "/program", program, mode: 0o755)
            for path in ["/proc", "/sys", "/dev"] { rmdir(tree + path) }
            return tree
        }

        private func look(_ config: inout JSONValue) {
            config.remove("linux.namespaces") { $0["type"] == "pid" }
            for set in ["bounding", "effective", "permitted"] {
                config.append("process.capabilities.\(set)", "CAP_SYS_PTRACE")
            }
        }

        private func choose(_ image: String, format: String? = nil) -> (inout JSONValue) -> Void {
            {
                $0.set("vm", ["kernel": ["path": .string(Build.kernel)], "image": ["path": .string(image)]])
                if let format { $0.set("vm.image.format", .string(format)) }
            }
        }

        /// The kernel starts the program of core_pattern in the guest's root, whatever the container's is.
        @Test("what the guest's kernel runs is the image's", arguments: ["ext4", "erofs", "squashfs"])
        func kernelsPrograms(format: String) throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make(format, of: try makeTree(host))
                let before = try images.sum(image)
                let script = """
                    echo '|/program' >/proc/sys/kernel/core_pattern
                    sh -c 'kill -SEGV $$'
                    for turn in $(seq 30); do
                        read -r word </proc/sys/kernel/core_pattern
                        [ "$word" = "|/program" ] || break
                        sleep 0.1
                    done
                    echo "$word"; ls /marker
                    """
                func run(_ edit: (inout JSONValue) -> Void) throws -> Outcome {
                    try host.run(script) {
                        $0.set("linux.readonlyPaths", [])
                        edit(&$0)
                    }
                }
                for _ in 0..<2 {
                    let outcome = try run(choose(image, format: "raw"))
                    #expect(outcome.out == "from-the-image\n", "\(outcome.err)")
                }
                #expect(try images.sum(image) == before)
                let without = try run { _ in }
                #expect(without.out == "|/program\n", "\(without.err)")
            }
        }

        @Test("by annotation, with disks of the container's, an exec, and a second container in the guest")
        func everythingElseGoesOn() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("erofs", of: try makeTree(host))
                let data = try images.make("ext4", of: nil)
                let script = """
                    cat /proc/1/root/marker; ls /proc/1/root/init /proc/1/root/mnt/* 2>&1 | wc -l
                    echo kept >/data/file; echo ready; read line
                    """
                let bundle = try images.bundle(script) { look(&$0) }
                try images.annotate(bundle, ["io.kvm-runtime.image": image, Images.disk + "d": "\(data),ext4,/data"])
                let run = try host.starting(bundle, stdin: .pipe)
                try run.wait(forOutput: "ready")
                let exec = try host.command("exec", host.id, "cat", "/data/file", "/proc/1/root/marker")
                #expect(exec.out == "kept\nfrom-the-image\n", "\(exec.err)")
                let pid = try #require(try host.state()?["pid"]?.integer)
                let second = try host.bundle("cat /proc/1/root/marker") {
                    look(&$0)
                    $0.remove("linux.namespaces") { $0["type"] == "network" }
                    $0.append("linux.namespaces", ["type": "network", "path": .string("/proc/\(pid)/ns/net")])
                }
                let other = try host.starting(second, id: host.id + "-2").finish()
                #expect(other.out == "from-the-image\n", "\(other.err)")
                run.write("go\n")
                #expect(try run.finish().out == "from-the-image\n2\nready\n")
                #expect(try images.file("/file", in: data) == "kept\n")
                #expect(try images.isSound(data))
            }
        }

        @Test func withoutAMountNamespaceAndWithUsersOfItsOwn() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("squashfs", of: try makeTree(host))
                let shared = try host.run("cat /proc/1/root/marker; ls -d /proc/1/root/tmp; id -u") {
                    choose(image)(&$0)
                    look(&$0)
                    $0.remove("linux.namespaces") { $0["type"] == "mount" }
                    $0.set("linux.maskedPaths", nil)
                    $0.set("linux.readonlyPaths", nil)
                }
                #expect(shared.out == "from-the-image\n/proc/1/root/tmp\n0\n", "\(shared.err)")
                // Its root is closed to others, as an image's may be.
                let tree = try makeTree(host)
                chmod(tree, 0o700)
                let closed = try images.make("erofs", of: tree)
                let bundle = try host.bundle("id -u; ls -d /bin/sh") {
                    choose(closed)(&$0)
                    $0.append("linux.namespaces", ["type": "user"])
                    $0.append("linux.namespaces", ["type": "cgroup"])
                    $0.set("linux.uidMappings", [["containerID": 0, "hostID": 100_000, "size": 1000]])
                    $0.set("linux.gidMappings", [["containerID": 0, "hostID": 100_000, "size": 1000]])
                }
                let chown = try Running("/bin/chown", ["-R", "--no-dereference", "100000:100000", bundle.rootfs])
                #expect(try chown.finish().code == 0)
                let mapped = try host.run(bundle)
                #expect(mapped.out == "0\n/bin/sh\n", "\(mapped.err)")
            }
        }

        @Test func whatIsNoRootIsRefusedInOneLine() throws {
            try Host.use { host in
                let images = try Images(host)
                let damaged = images.directory + "/damaged"
                try Files.write(damaged, (0..<4096).map { $0 == 1080 ? 0x53 : $0 == 1081 ? 0xEF : UInt8(0xFF) })
                try Files.write(images.directory + "/text", "no file system")
                let tree = try makeTree(host)
                symlink("/run", tree + "/proc")
                let astray = try images.make("erofs", of: tree)
                symlink("/etc/passwd", images.directory + "/link")
                let refused: [(String, String?, String)] = [
                    (damaged, nil, "vm.image.path: \(damaged): mounting it in the guest as ext4: "),
                    (astray, nil, "vm.image.path: \(astray): its /proc, where the guest's own goes: not a directory"),
                    (images.directory + "/text", nil, "vm.image.path: \(images.directory)/text has none of the file"),
                    (images.directory + "/none", nil, "vm.image.path: \(images.directory)/none: No such file"),
                    (
                        images.directory, nil,
                        "vm.image.path is not allowed; an administrator can allow it with vm.images"
                    ),
                    (images.directory + "/link", nil, "vm.image.path is not allowed"),
                    (damaged, "qcow2", "vm.image.format: \"qcow2\" is not supported, raw is: qemu-img convert -O raw"),
                ]
                for (image, format, words) in refused {
                    let outcome = try host.run("echo never", choose(image, format: format))
                    #expect(outcome.code == 1 && outcome.out.isEmpty && outcome.complaints.count == 1, "\(outcome)")
                    #expect(outcome.err.contains("kvm-runtime: " + words), "\(outcome.err)")
                }
            }
        }

        /// A disk that cannot be written can't be repaired either.
        @Test func anImageThatNeedsRecovery() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("ext4", of: try makeTree(host))
                try images.markForRecovery(image)
                let outcome = try host.run("echo never", choose(image))
                #expect(outcome.code == 1 && outcome.complaints.count == 1, "\(outcome)")
                #expect(
                    outcome.err.contains("vm.image.path: \(image): ") && outcome.err.contains("e2fsck"),
                    "\(outcome.err)")
            }
        }

        @Test func aContainerThatWritesToItIsRefused() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("ext4", of: try makeTree(host))
                let bundle = try images.bundle("echo never", choose(image))
                try images.annotate(bundle, [Images.disk + "d": "\(image),ext4,/d"])
                let outcome = try host.run(bundle)
                #expect(outcome.code == 1 && outcome.complaints.count == 1, "\(outcome)")
                #expect(outcome.err.contains("vm.image.path: \(image) is the image of disk-d too"), "\(outcome.err)")
            }
        }
    }
}

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Images of the host as disks: as the rootfs, and at places in the container.
    @Suite(.enabled(if: Images.obstacle == nil, Images.reason)) struct Disks {
        @Test func ext4RootIsWrittenAndKept() throws {
            try Host.use { host in
                let images = try Images(host)
                let script = """
                    cat /file 2>/dev/null; echo kept >/file; mkdir -p /a/b; chown 1000 /a/b; mkfifo /a/p
                    echo "type=$(grep ' / ' /proc/mounts | tail -n 1 | cut -d' ' -f3)"
                    """
                let bundle = try images.bundle(script) {
                    $0.set("root.readonly", false)
                    // The container may not touch a disk, and has its files from one.
                    $0.set("linux.resources.devices", [["allow": false, "access": "rwm"]])
                }
                let image = try images.make("ext4", of: bundle.rootfs)
                try images.annotate(bundle, [Images.root: image])
                let first = try host.run(bundle)
                #expect(first.out == "type=ext4\n", "\(first.err)")
                #expect(try images.isSound(image))
                #expect(try images.file("/file", in: image) == "kept\n")
                #expect(!File.exists(bundle.rootfs + "/file"))
                let second = try host.run(bundle)
                #expect(second.out == "kept\ntype=ext4\n", "\(second.err)")
                #expect(try images.isSound(image))
            }
        }

        @Test("a rootfs that is not written: the image stays as it is", arguments: ["ext4", "erofs", "squashfs"])
        func readOnlyRoot(format: String) throws {
            try Host.use { host in
                let images = try Images(host)
                let script = "cat /etc/passwd | head -n 1; touch /new 2>/dev/null; echo \"new=$?\"; ls /mount"
                let bundle = try images.bundle(script) {
                    $0.append("mounts", ["destination": "/mount", "type": "tmpfs", "source": "tmpfs"])
                }
                let image = try images.make(format, of: bundle.rootfs)
                let before = try images.sum(image)
                try images.annotate(bundle, [Images.root: image, Images.rootType: format])
                let outcome = try host.run(bundle)
                #expect(outcome.out == "root:x:0:0:root:/root:/bin/sh\nnew=1\n", "\(outcome.err)")
                #expect(try images.sum(image) == before)
            }
        }

        @Test(
            "a format, or an image, that can't be written: what is written is in memory, and gone with the container",
            arguments: ["erofs", "squashfs", "ext4"])
        func overlay(format: String) throws {
            try Host.use { host in
                let images = try Images(host)
                let script = """
                    cat /etc/group | head -n 1; echo x >>/etc/group && rm /etc/passwd && mkdir /d; cat /new; echo n >/new
                    echo "$(stat -c '%a %u' /) $(cat /new)"
                    """
                let bundle = try images.bundle(script) { $0.set("root.readonly", false) }
                chmod(bundle.rootfs, 0o751)
                let image = try images.make(format, of: bundle.rootfs)
                chmod(image, 0o444)
                // mkfs.ext4 has a root of its own.
                let mode = format == "ext4" ? "755" : "751"
                let before = try images.sum(image)
                try images.annotate(bundle, [Images.root: image])
                for _ in 0..<2 {
                    let outcome = try host.run(bundle)
                    #expect(outcome.out == "root:x:0:\n\(mode) 0 n\n", "\(outcome.err)")
                }
                #expect(try images.sum(image) == before)
            }
        }

        @Test func scratchDiskIsWrittenAndReadBack() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("ext4", of: nil)
                let script = """
                    echo "type=$(grep ' /var/data ' /proc/mounts | cut -d' ' -f3)"; echo hello >/var/data/file
                    dd if=/dev/zero of=/var/data/big bs=1M count=8 2>/dev/null; cat /var/data/inner/x; fsync /var/data/big
                    """
                let inner = host.directory + "/inner"
                try File.makeDirectories(inner, mode: 0o755)
                try Files.write(inner + "/x", "bound\n")
                let bundle = try images.bundle(script) {
                    $0.set("root.readonly", false)
                    $0.append(
                        "mounts",
                        [
                            "destination": "/var/data/inner", "type": "bind", "source": .string(inner),
                            "options": ["bind"],
                        ])
                }
                try images.annotate(bundle, [Images.disk + "data": "\(image),ext4,/var/data"])
                let first = try host.run(bundle)
                #expect(first.out == "type=ext4\nbound\n", "\(first.err)")
                #expect(try images.isSound(image))
                #expect(try images.file("/file", in: image) == "hello\n")

                let before = try images.sum(image)
                let reader = try images.bundle("cat /x/file; echo y >/x/file; echo \"write=$?\"")
                try images.annotate(reader, [Images.disk + "data": "\(image),auto,/x,ro"])
                let second = try host.run(reader)
                #expect(second.out == "hello\nwrite=1\n", "\(second.err)")
                #expect(try images.sum(image) == before)
            }
        }

        @Test func rootAndDisksTogetherAndForcedDeletion() throws {
            try Host.use { host in
                let images = try Images(host)
                let script = """
                    for n in 1 2 3; do echo "$n" >/disks/$n/n; done; cat /disks/4/etc/group | head -n 1; echo r >/r; echo ready
                    sleep 1000
                    """
                let bundle = try images.bundle(script) { $0.set("root.readonly", false) }
                let root = try images.make("ext4", of: bundle.rootfs)
                let squashed = try images.make("squashfs", of: bundle.rootfs)
                var disks: [String] = []
                var annotations = [Images.root: root, Images.disk + "4": "\(squashed),squashfs,/disks/4"]
                for number in 1...3 {
                    disks.append(try images.make("ext4", of: nil))
                    annotations[Images.disk + "\(number)"] = "\(disks[number - 1]),ext4,/disks/\(number)"
                }
                try images.annotate(bundle, annotations)
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                #expect(run.out == "root:x:0:\nready\n")
                #expect(try host.command("delete", "--force", host.id).code == 0)
                _ = try run.finish()
                for (number, disk) in disks.enumerated() {
                    #expect(try images.file("/n", in: disk) == "\(number + 1)\n")
                    #expect(try images.isSound(disk))
                }
                #expect(try images.file("/r", in: root) == "r\n")
                #expect(try images.isSound(root))
            }
        }

        @Test func withoutAMountNamespaceAndWithExec() throws {
            try Host.use { host in
                let images = try Images(host)
                let bundle = try images.bundle("echo kept >/file; echo ready; read line; cat /other") {
                    $0.set("root.readonly", false)
                    $0.remove("linux.namespaces") { $0["type"]?.string == "mount" }
                    // They hide what is the whole guest's then.
                    $0.set("linux.maskedPaths", nil)
                    $0.set("linux.readonlyPaths", nil)
                }
                let image = try images.make("ext4", of: bundle.rootfs)
                try images.annotate(bundle, [Images.root: image])
                let run = try host.starting(bundle, stdin: .pipe)
                try run.wait(forOutput: "ready")
                let exec = try host.command("exec", host.id, "/bin/sh", "-c", "cat /file; echo exec >/other")
                #expect(exec.out == "kept\n", "\(exec.err)")
                run.write("go\n")
                #expect(try run.finish().out == "ready\nexec\n")
                #expect(try images.file("/other", in: image) == "exec\n")
                #expect(try images.isSound(image))
            }
        }

        @Test func aGuestOfAnotherHasNoDisks() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("ext4", of: nil)
                let first = try host.bundle("echo ready; read line")
                let run = try host.starting(first, stdin: .pipe)
                try run.wait(forOutput: "ready")
                let pid = try #require(try host.state()?["pid"]?.integer)
                let second = try images.bundle("true") {
                    $0.remove("linux.namespaces") { $0["type"]?.string == "network" }
                    $0.append("linux.namespaces", ["type": "network", "path": .string("/proc/\(pid)/ns/net")])
                }
                try images.annotate(second, [Images.disk + "d": "\(image),ext4,/d"])
                let outcome = try host.start(["run", "--bundle", second.path, host.id + "-2"]).finish()
                #expect(outcome.code == 1)
                #expect(outcome.err.contains("has no disks for it: \(image)"), "\(outcome.err)")
                run.write("go\n")
                #expect(try run.finish().code == 0)
            }
        }

        @Test func whoWritesHasAnImageAlone() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("ext4", of: nil)
                let bundle = try images.bundle("echo ready; read line; echo w >/mnt/w")
                try images.annotate(bundle, [Images.disk + "d": "\(image),ext4,/mnt"])
                let run = try host.starting(bundle, stdin: .pipe)
                try run.wait(forOutput: "ready")
                for options in ["", ",ro"] {
                    let other = try images.bundle("true")
                    try images.annotate(other, [Images.disk + "d": "\(image),ext4,/mnt\(options)"])
                    let outcome = try host.start(["run", "--bundle", other.path, host.id + "-2"]).finish()
                    #expect(outcome.code == 1)
                    #expect(outcome.err.contains("\(image) is in use by another guest"), "\(outcome.err)")
                }
                run.write("go\n")
                #expect(try run.finish().code == 0)
                #expect(try images.isSound(image))
            }
        }

        @Test func manyMayReadAnImage() throws {
            try Host.use { host in
                let images = try Images(host)
                let bundle = try images.bundle("echo ready; read line; cat /etc/group | head -n 1")
                let image = try images.make("erofs", of: bundle.rootfs)
                try images.annotate(bundle, [Images.root: image])
                let runs = try ["-1", "-2"].map { try host.starting(bundle, id: host.id + $0, stdin: .pipe) }
                for run in runs { try run.wait(forOutput: "ready") }
                for run in runs {
                    run.write("go\n")
                    #expect(try run.finish().out == "ready\nroot:x:0:\n")
                }
            }
        }

        @Test func notAllowedIsRefused() throws {
            try Host.use { host in
                let images = try Images(host, allowed: false)
                let image = try images.make("ext4", of: nil)
                for annotations in [[Images.root: image], [Images.disk + "d": "\(image),ext4,/mnt"]] {
                    let bundle = try images.bundle("true")
                    try images.annotate(bundle, annotations)
                    let outcome = try host.run(bundle)
                    #expect(outcome.code == 1)
                    #expect(outcome.err.contains("\(image), which is not allowed"), "\(outcome.err)")
                    #expect(outcome.err.contains("guest.allowed_images"), "\(outcome.err)")
                }
                // A symlink in an allowed directory leads nowhere else.
                let allowed = try Images(host)
                symlink("/etc/passwd", allowed.directory + "/link")
                let bundle = try allowed.bundle("true")
                try allowed.annotate(bundle, [Images.root: allowed.directory + "/link"])
                #expect(try host.run(bundle).err.contains("/etc/passwd, which is not allowed"))
            }
        }

        @Test func whatIsNoImageIsRefused() throws {
            try Host.use { host in
                let images = try Images(host)
                let image = try images.make("ext4", of: nil)
                try Files.write(images.directory + "/text", "no file system")
                let damaged = images.directory + "/damaged"
                try Files.write(damaged, (0..<4096).map { $0 == 1080 ? 0x53 : $0 == 1081 ? 0xEF : UInt8(0xFF) })
                var many: [String: String] = [:]
                for number in 1...6 {
                    many[Images.disk + "\(number)"] = "\(try images.make("ext4", of: nil)),ext4,/m\(number)"
                }
                let refused: [([String: String], String)] = [
                    ([Images.root: images.directory + "/missing"], "No such file or directory"),
                    ([Images.root: images.directory + "/text"], "none of the file systems"),
                    ([Images.root: image, Images.rootType: "erofs"], "has the file system ext4, not erofs"),
                    ([Images.disk + "d": "\(image),xfs,/m"], "names the file system \"xfs\""),
                    ([Images.disk + "d": damaged + ",ext4,/m"], "mounting the image of disk-d (ext4)"),
                    ([Images.disk + "d": "\(image),ext4,/m", Images.disk + "e": "\(image),ext4,/n"], "once more"),
                    (many, "6 disk images are too many"),
                ]
                for (annotations, words) in refused {
                    let bundle = try images.bundle("true") { $0.set("root.readonly", false) }
                    try images.annotate(bundle, annotations)
                    let outcome = try host.run(bundle)
                    #expect(outcome.code != 0)
                    #expect(outcome.err.contains(words), "\(outcome.err)")
                }
            }
        }
    }
}

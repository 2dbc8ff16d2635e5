import CJail
import CLinux
import LinuxSys
import OCISpec
import Testing

@testable import Jail

extension RealContainers {
    /// Mounts of real containers, and what an image may try to get out.
    @Suite struct MountTests {
        private let container: TestContainer
        private var share: String { container.directory + "/share" }

        init() throws { container = try TestContainer() }

        private func run(_ script: String, _ mounts: [(Mount, String)]) throws -> TestContainer.Result {
            var binds: [Int: String] = [:]
            let spec = container.spec(script) {
                for (mount, source) in mounts {
                    binds[$0.mounts.count] = source
                    $0.mounts.append(mount)
                }
            }
            return try container.run(spec, binds: binds)
        }

        private func bind(_ destination: String, _ options: String...) -> Mount {
            Mount(destination: destination, type: "bind", source: "/x", options: ["rbind"] + options)
        }

        @Test func directoriesAndFiles() throws {
            try File.makeDirectories(share + "/v", mode: 0o755)
            try container.write("data", to: share + "/v/f")
            let result = try run(
                "cat /a/b/c/f /new/file; touch /ro/x; stat -c %F /new/file; grep ' /ro ' /proc/mounts | cut -d' ' -f4",
                [(bind("/a/b/c"), "v"), (bind("/new/file"), "v/f"), (bind("/ro", "ro", "noexec", "nosuid"), "v")])
            #expect(
                result.output.hasPrefix("datadatatouch: /ro/x: Read-only file system\nregular file\nro,nosuid,noexec"))
        }

        @Test("a tmpfs has the mode of what it hides; the kernel's, where there was nothing")
        func modeOfTmpfs() throws {
            _ = try once { mkdir(container.root + "/there", 0o700) }
            let mounts = ["/there", "/new"].map { Mount(destination: $0, type: "tmpfs", source: "tmpfs") }
            let result = try run("stat -c %a /there /new", mounts.map { ($0, "") })
            #expect(result.output == "700\n1777\n", "\(result)")
        }

        @Test func missingSource() throws {
            #expect(
                try run("true", [(bind("/a"), "gone")]).failure?.message
                    == #"mounts[3] to "/a": no such file or directory"#)
        }

        @Test func sourceStaysInTheShare() throws {
            _ = try once { symlink("../../../../../../../etc", share + "/out") }
            // Read inside the share, /etc is not there.
            #expect(
                try run("true", [(bind("/a"), "out")]).failure?.message.hasSuffix("no such file or directory") == true)
        }

        @Test(arguments: ["../../../../../../../../tmp/outside", "/tmp/outside"])
        func destinationStaysInTheRoot(_ link: String) throws {
            _ = try once { symlink(link, container.root + "/esc") }
            let mount = Mount(destination: "/esc/in", type: "tmpfs", source: "tmpfs")
            let result = try run("ls -d /tmp/outside/in", [(mount, "")])
            #expect(result.output == "/tmp/outside/in\n")
            #expect(File.isDirectory(container.root + "/tmp/outside/in"))
            #expect(!File.exists("/tmp/outside"))
        }

        @Test func linksThatLeadNowhere() throws {
            let root = try FileDescriptor.directory(container.root)
            _ = try once { symlink("b", container.root + "/a") }
            _ = try once { symlink("/a", container.root + "/b") }
            #expect(throws: Errno.self) { try once { cjail_open_in_root(root.raw, "/a/x", 2) } }
            _ = try once { symlink("/run/lock", container.root + "/lock") }
            _ = FileDescriptor(owning: try once { cjail_open_in_root(root.raw, "/lock/x", 1) })
            #expect(File.mode(container.root + "/run/lock/x").map { $0 & mode_t(S_IFMT) } == mode_t(S_IFREG))
            #expect(throws: Errno.self) { try once { cjail_open_in_root(root.raw, "/bin/busybox/x", 2) } }
            #expect(throws: Errno.self) { try once { cjail_open_in_root(root.raw, "/no/../../x/..", 0) } }
        }

        @Test func tmpfsTakesTheModeOfItsDirectory() throws {
            try File.makeDirectories(container.root + "/private", mode: 0o700)
            chmod(container.root + "/private", 0o750)
            let result = try run(
                "stat -c %a /private /open",
                [
                    (Mount(destination: "/private", type: "tmpfs", source: "tmpfs"), ""),
                    (Mount(destination: "/open", type: "tmpfs", source: "tmpfs", options: ["mode=1777"]), ""),
                ])
            #expect(result.output == "750\n1777\n")
        }

        @Test func copyUp() throws {
            try File.makeDirectories(container.root + "/var/d", mode: 0o755)
            try container.write("kept", to: container.root + "/var/d/f")
            _ = try once { chown(container.root + "/var/d/f", 5, 6) }
            _ = try once { symlink("d/f", container.root + "/var/l") }
            let mount = Mount(destination: "/var", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "nosuid"])
            let result = try run(
                "cat /var/l; stat -c ' %u:%g' /var/d/f; touch /var/new; stat -f -c %T /var", [(mount, "")])
            #expect(result.output == "kept 5:6\ntmpfs\n")
            #expect(!File.exists(container.root + "/var/new"))
        }

        @Test func devices() throws {
            let spec = container.spec("stat -c '%n %a %t:%T %u' /dev/null /dev/x/y; echo hi > /dev/null; ls -l /dev/fd")
            {
                var device = Linux.Device(path: "/dev/x/y", type: .character, major: 1, minor: 5)
                device.fileMode = 0o640
                device.uid = 9
                $0.linux?.devices = [device]
            }
            let result = try container.run(spec)
            #expect(result.failure == nil && result.status == .exited(code: 0))
            #expect(result.output.hasPrefix("/dev/null 666 1:3 0\n/dev/x/y 640 1:5 9\n"))
            #expect(result.output.contains("/dev/fd -> /proc/self/fd"))
        }

        @Test func nothingIsLeftOnThisMachine() throws {
            _ = try run("true", [(Mount(destination: "/t", type: "tmpfs", source: "tmpfs"), "")])
            let mounts = String(decoding: try File.read("/proc/self/mounts", limit: 1 << 20), as: UTF8.self)
            #expect(!mounts.contains(container.directory))
        }
    }
}

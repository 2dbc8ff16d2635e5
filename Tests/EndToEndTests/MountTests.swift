import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Directories and files of the host in the container.
    @Suite struct Mounts {
        @Test func bindsShowChangesBothWays() throws {
            try Host.use { host in
                let shared = host.directory + "/shared"
                try File.makeDirectories(shared, mode: 0o777)
                try Files.write(shared + "/from-host", "before")
                try Files.write(host.directory + "/single", "single")
                let script = """
                    echo "host: $(cat /rw/from-host) $(cat /ro/from-host) $(cat /file)"
                    echo hello >/rw/from-guest; mkdir /rw/directory; ln -s x /rw/link; chmod 600 /rw/from-guest
                    touch /ro/new 2>/dev/null; echo "ro: $?"; echo x 2>/dev/null >>/rofile; echo "rofile: $?"
                    echo more >>/file; echo ready
                    until grep -q after /rw/from-host; do sleep 0.05; done; echo "seen: $(cat /ro/from-host)"
                    until [ -e /ro/late ]; do sleep 0.05; done; echo "late: $(cat /rw/late)"
                    """
                let bundle = try host.bundle(script) { config in
                    let mounts = [
                        ("/rw", shared, "rw"), ("/ro", shared, "ro"), ("/file", host.directory + "/single", "rw"),
                        ("/rofile", host.directory + "/single", "ro"),
                    ]
                    for (destination, source, mode) in mounts {
                        config.append(
                            "mounts",
                            [
                                "destination": .string(destination), "type": "bind", "source": .string(source),
                                "options": ["rbind", .string(mode)],
                            ])
                    }
                    config.set("root.readonly", false)
                }
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                #expect(run.out == "host: before before single\nro: 1\nrofile: 1\nready\n")
                #expect(try Files.text(shared + "/from-guest") == "hello\n")
                #expect(File.isDirectory(shared + "/directory"))
                #expect(try File.readLink(shared + "/link") == "x")
                #expect(File.mode(shared + "/from-guest").map { $0 & 0o777 } == 0o600)
                #expect(try Files.text(host.directory + "/single") == "singlemore\n")
                try Files.write(shared + "/from-host", "after")
                try run.wait(forOutput: "seen: after")
                try Files.write(shared + "/late", "news")
                try run.wait(forOutput: "late: news")
                #expect(try run.finish().code == 0)
            }
        }

        @Test func writesToTheRootfsReachTheHost() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo data >/file; mkdir -p /a/b; mv /tmp/old /a/b/new; rm /gone") {
                    $0.set("root.readonly", false)
                }
                try Files.write(bundle.rootfs + "/tmp/old", "old")
                try Files.write(bundle.rootfs + "/gone", "")
                let outcome = try host.run(bundle)
                #expect(outcome.code == 0, "\(outcome.err)")
                #expect(try Files.text(bundle.rootfs + "/file") == "data\n")
                #expect(try Files.text(bundle.rootfs + "/a/b/new") == "old")
                #expect(!File.exists(bundle.rootfs + "/gone"))
            }
        }

        @Test func relativeSourcesAreTheBundles() throws {
            try Host.use { host in
                let bundle = try host.bundle("cat /here/file") {
                    $0.append("mounts", ["destination": "/here", "type": "none", "source": "own", "options": ["bind"]])
                }
                try File.makeDirectories(bundle.path + "/own", mode: 0o755)
                try Files.write(bundle.path + "/own/file", "the bundle's\n")
                let outcome = try host.run(bundle)
                #expect(outcome.out == "the bundle's\n", "\(outcome.err)")
            }
        }

        /// What is mounted below a bind's source comes along. The mount is made in a namespace of the command's own.
        @Test func mountsBelowTheSourceComeAlong() throws {
            try Host.use { host in
                let shared = host.directory + "/shared"
                try File.makeDirectories(shared + "/below", mode: 0o755)
                let bundle = try host.bundle("cat /bind/below/file; echo more >/bind/below/other; ls /bind/below") {
                    $0.append(
                        "mounts",
                        [
                            "destination": "/bind", "type": "bind", "source": .string(shared),
                            "options": ["rbind", "rw"],
                        ])
                }
                let script = """
                    mount -t tmpfs none "$1/below" && echo mounted >"$1/below/file" && shift && exec "$@"
                    """
                let command = [Build.binary] + host.globals + ["run", "--bundle", bundle.path, host.id]
                let outcome = try Running(
                    "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script, "sh", shared] + command
                ).finish()
                #expect(outcome.out == "mounted\nfile\nother\n", "\(outcome.err)")
                #expect(try File.list(shared + "/below").isEmpty)
            }
        }

        @Test func symlinksInTheRootfsStayInside() throws {
            try Host.use { host in
                try File.makeDirectories(host.directory + "/outside", mode: 0o755)
                try Files.write(host.directory + "/outside/file", "outside")
                let bundle = try host.bundle("cat /escape/file; ls /link; echo \"ls: $?\"") {
                    $0.set("root.readonly", false)
                    $0.append(
                        "mounts",
                        [
                            "destination": "/link/mounted", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"],
                        ])
                }
                symlink(host.directory + "/outside", bundle.rootfs + "/escape")
                symlink(host.directory + "/outside", bundle.rootfs + "/link")
                let outcome = try host.run(bundle)
                #expect(!outcome.out.contains("outside"))
                #expect(try File.list(host.directory + "/outside") == ["file"])
            }
        }

        @Test func missingSourceIsToldBeforeAnythingStarts() throws {
            try Host.use { host in
                let outcome = try host.run("echo never") {
                    $0.append(
                        "mounts", ["destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]])
                }
                #expect(outcome.code == 1)
                #expect(outcome.err == "kvm-runtime: mounts[7] (/x): source /no/such: No such file or directory\n")
            }
        }
    }
}

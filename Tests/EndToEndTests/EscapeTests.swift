import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Configurations and containers that reach for the host, which must be as it was.
    @Suite struct Escapes {
        /// A directory of the host that nothing may reach, with a file in it; compared at the end.
        private struct Outside {
            let path: String
            private static let text = "of the host\n"

            init(_ host: Host) throws {
                path = host.directory + "/outside"
                try File.makeDirectories(path + "/below", mode: 0o777)
                chmod(path, 0o777)
                try Files.write(path + "/file", Self.text, mode: 0o666)
            }

            func expectUntouched(_ outcome: Outcome? = nil, sourceLocation: SourceLocation = #_sourceLocation) throws {
                let words: Comment = "\(outcome.map { $0.out + $0.err } ?? "")"
                #expect(try File.list(path).sorted() == ["below", "file"], words, sourceLocation: sourceLocation)
                #expect(try File.list(path + "/below").isEmpty, words, sourceLocation: sourceLocation)
                #expect(try Files.text(path + "/file") == Self.text, words, sourceLocation: sourceLocation)
                #expect(
                    try !Files.text("/proc/self/mountinfo").contains(path), words, sourceLocation: sourceLocation)
            }

            /// The way from the root of a rootfs to here, for a link that counts on being followed on the host.
            func relative(from place: String) -> String {
                String(repeating: "../", count: place.utf8.count { $0 == UInt8(ascii: "/") } + 4) + path.dropFirst()
            }
        }

        private func mount(_ destination: String, _ type: String = "tmpfs", source: String? = nil) -> JSONValue {
            if let source {
                return ["destination": .string(destination), "source": .string(source), "options": ["rbind"]]
            }
            return ["destination": .string(destination), "type": .string(type), "source": .string(type)]
        }

        /// Destinations, devices, masked and read-only paths and the working directory, each below a link that on the host
        /// would lead out of the rootfs.
        @Test("links that lead out", arguments: ["absolute", "relative"])
        func links(kind: String) throws {
            try Host.use { host in
                let outside = try Outside(host)
                let bundle = try host.bundle("pwd; awk '{ print $5 }' /proc/self/mountinfo; ls -d /link/cwd/deep") {
                    $0.set("root.readonly", false)
                    $0.set("process.cwd", "/link/cwd/deep")
                    $0.append("mounts", mount("/link/new"))
                    $0.append("mounts", mount("/link/below/new", source: outside.path + "/below"))
                    $0.append("linux.devices", ["path": "/link/node", "type": "c", "major": 1, "minor": 3])
                    $0.append("linux.devices", ["path": "/link/below/fifo", "type": "p"])
                    $0.append("linux.maskedPaths", "/link/file")
                    $0.append("linux.readonlyPaths", "/link/below")
                }
                let target = kind == "absolute" ? outside.path : outside.relative(from: bundle.rootfs)
                symlink(target, bundle.rootfs + "/link")
                let outcome = try host.run(bundle)
                try outside.expectUntouched(outcome)
                // All of it was made, in the rootfs: what the link means there.
                let inside = outside.path
                #expect(outcome.lines.first == inside + "/cwd/deep" && outcome.lines.last == "/link/cwd/deep")
                let mounted = Set(outcome.lines)
                #expect(mounted.isSuperset(of: [inside + "/new", inside + "/below/new"]), "\(outcome)")
                #expect(File.exists(bundle.rootfs + outside.path + "/node"))
            }
        }

        /// A name that is now a directory and now a link to the host, while containers start.
        @Test func linksThatChangeMeanwhile() throws {
            try Host.use { host in
                let outside = try Outside(host)
                let bundle = try host.bundle("echo done") {
                    $0.set("root.readonly", false)
                    $0.set("process.cwd", "/swap/cwd")
                    $0.append("mounts", mount("/swap/tmp"))
                    $0.append("mounts", mount("/swap/one/two", source: host.directory + "/bound"))
                    $0.append("mounts", mount("/swap/file", source: host.directory + "/bound/file"))
                    $0.append("linux.devices", ["path": "/swap/node", "type": "c", "major": 1, "minor": 3])
                    $0.append("linux.maskedPaths", "/swap/below")
                    $0.append("linux.readonlyPaths", "/swap/below")
                }
                try File.makeDirectories(host.directory + "/bound", mode: 0o755)
                try Files.write(host.directory + "/bound/file", "bound")
                try File.makeDirectories(bundle.rootfs + "/swap/below", mode: 0o755)
                symlink(outside.path, bundle.rootfs + "/other")
                // RENAME_EXCHANGE, so that there is always one of the two.
                let swapper = """
                    import ctypes, sys
                    libc = ctypes.CDLL(None)
                    a, b = (sys.argv[1] + name for name in ('/swap', '/other'))
                    print('swapping', flush=True)
                    while True: libc.syscall(316, -100, a.encode(), -100, b.encode(), 2)
                    """
                let swapping = try Running("/usr/bin/env", ["python3", "-c", swapper, bundle.rootfs])
                defer { swapping.kill() }
                try swapping.wait(forOutput: "swapping")
                var started = 0
                for round in 0..<20 {
                    let outcome = try host.starting(bundle, id: "\(host.id)-\(round)").finish()
                    if outcome.out == "done\n" { started += 1 }
                    try outside.expectUntouched(outcome)
                }
                #expect(started > 0, "not one of them started")
            }
        }

        @Test("\"..\" in destinations, devices, masked paths and the working directory")
        func parentDirectories() throws {
            try Host.use { host in
                let outside = try Outside(host)
                let up = "/a/" + String(repeating: "../", count: 30)
                let bundle = try host.bundle("pwd; ls \(outside.path); wc -c < \(outside.path)/file") {
                    $0.set("root.readonly", false)
                    $0.set("process.cwd", .string(up))
                    $0.append("mounts", mount(up + outside.path + "/new"))
                    $0.append("mounts", mount(".." + outside.path + "/bound", source: outside.path + "/below"))
                    $0.append(
                        "linux.devices",
                        ["path": .string(up + outside.path + "/node"), "type": "c", "major": 1, "minor": 3])
                    $0.append("linux.maskedPaths", .string(up + outside.path + "/file"))
                    $0.append("linux.readonlyPaths", .string("/.." + outside.path + "/below"))
                }
                try File.makeDirectories(bundle.rootfs + "/a", mode: 0o755)
                try File.makeDirectories(bundle.rootfs + outside.path, mode: 0o755)
                try Files.write(bundle.rootfs + outside.path + "/file", "the container's")
                let outcome = try host.run(bundle)
                try outside.expectUntouched(outcome)
                // The parent of the root is the root, as in any container.
                #expect(outcome.lines == ["/", "bound", "file", "new", "node", "0"], "\(outcome)")
                // Names that are nothing else are no place for a node.
                for path in ["/dev/..", "/..", "/dev/."] {
                    let bad = try host.run("true") {
                        $0.append(
                            "linux.devices", ["path": .string(path), "type": "c", "major": 1, "minor": 3])
                    }
                    #expect(bad.code == 1 && bad.err.contains("linux.devices[0]"), "\(path): \(bad)")
                }
            }
        }

        @Test func rootfsWhoseDirectoriesAreLinks() throws {
            try Host.use { host in
                let outside = try Outside(host)
                let bundle = try host.bundle("cat /proc/self/comm; ls -d /sys/kernel; echo x > /dev/null; ls /etc") {
                    $0.set("root.readonly", false)
                    $0.append("mounts", mount("/etc/hosts", source: outside.path + "/file"))
                }
                for name in ["dev", "proc", "sys", "etc"] {
                    Files.removeTree(bundle.rootfs + "/" + name)
                    symlink(outside.path + "/" + name, bundle.rootfs + "/" + name)
                }
                let outcome = try host.run(bundle)
                try outside.expectUntouched(outcome)
                #expect(outcome.lines == ["cat", "/sys/kernel", "hosts"], "\(outcome)")
            }
        }
    }
}

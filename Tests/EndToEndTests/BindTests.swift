import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What a bind mount keeps of its source, and what its options make of it, as with runc.
    @Suite struct Binds {
        private static func bind(_ source: String, _ destination: String, _ options: String...) -> JSONValue {
            [
                "destination": .string(destination), "type": "bind", "source": .string(source),
                "options": JSONValue(options),
            ]
        }

        /// The flags of what is mounted at each place, as far as they are about what is allowed.
        private static let showFlags = """
            flags() { awk -v at="$1" '$5 == at { print $6 }' /proc/self/mountinfo | tail -n 1 | tr , '\\n' | \
                grep -E '^(ro|rw|nosuid|nodev|noexec|noatime)$' | xargs; }

            """

        @Test("nosuid, nodev and noexec of the source's own mount stay, unless the options say the opposite")
        func flagsOfTheSource() throws {
            try Host.use { host in
                let source = host.directory + "/source"
                try File.makeDirectories(source, mode: 0o755)
                let script =
                    Self.showFlags
                    + "for place in /kept /some /file; do echo \"$place $(flags $place)\"; done; /kept/program; echo $?; /some/program"
                let bundle = try host.bundle(script) { config in
                    config.append("mounts", Self.bind(source, "/kept", "bind"))
                    config.append("mounts", Self.bind(source, "/some", "rbind", "rw", "exec", "dev"))
                    config.append("mounts", Self.bind(source + "/program", "/file", "bind"))
                }
                let prepare = """
                    mount -t tmpfs -o nosuid,nodev,noexec none "$1"
                    printf '#!/bin/sh\\necho runs\\n' >"$1/program"; chmod 755 "$1/program"; shift; exec "$@"
                    """
                let command = [Build.binary] + host.globals + ["run", "--bundle", bundle.path, host.id]
                let outcome = try Running(
                    "/usr/bin/unshare", ["--mount", "/bin/sh", "-ec", prepare, "sh", source] + command
                ).finish()
                #expect(
                    outcome.lines == [
                        "/kept rw nosuid nodev noexec", "/some rw nosuid", "/file rw nosuid nodev noexec", "126",
                        "runs",
                    ], "\(outcome)")
            }
        }

        @Test("a recursive attribute holds whatever the plain words say")
        func recursiveAttributesWin() throws {
            try Host.use { host in
                let cases: [(place: String, options: [String], flags: String)] = [
                    ("/a", ["rbind", "rw", "rro"], "ro"), ("/b", ["rbind", "ro", "rrw"], "rw"),
                    ("/c", ["rbind", "suid", "rnosuid", "exec", "rnoexec"], "rw nosuid noexec"),
                    ("/d", ["rbind", "dev", "rnodev", "atime", "rnoatime"], "rw nodev noatime"),
                ]
                let source = host.directory + "/source"
                try File.makeDirectories(source, mode: 0o777)
                let script = Self.showFlags + cases.map { "echo $(flags \($0.place))" }.joined(separator: "\n")
                let outcome = try host.run(script) { config in
                    for (place, options, _) in cases {
                        config.append(
                            "mounts",
                            [
                                "destination": .string(place), "source": .string(source), "options": JSONValue(options),
                            ])
                    }
                }
                #expect(outcome.lines == cases.map(\.flags), "\(outcome)")
            }
        }

        /// Where people hide a file: the guest has a /dev/null of its own.
        @Test func devicesThatEveryGuestHas() throws {
            let script =
                "wc -c </etc/hidden; echo x >/etc/hidden; echo $?; [ -c /etc/hidden ] && echo device; head -c 2 /new | wc -c"
            try Host.use { host in
                let bundle = try host.bundle(script) { config in
                    config.append("mounts", Self.bind("/dev/null", "/etc/hidden", "bind", "rw"))
                    config.append("mounts", Self.bind("/dev/zero", "/new", "bind"))
                    config.set("root.readonly", false)
                }
                try Files.write(bundle.rootfs + "/etc/hidden", "secret")
                let outcome = try host.run(bundle)
                #expect(outcome.lines == ["0", "0", "device", "2"], "\(outcome)")
                #expect(try Files.text(bundle.rootfs + "/etc/hidden") == "secret")
                let other = try host.run("echo never") { $0.append("mounts", Self.bind("/dev/tty", "/x", "bind")) }
                #expect(other.code == 1 && other.err.contains("binding devices of the host is not supported"))
            }
        }

        /// As exporters of metrics have it. Such files say to be empty.
        @Test(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) func filesThatTheKernelMakes() throws {
            let script = """
                head -n 1 /host/proc/stat | cut -d ' ' -f 1; [ $(wc -c </host/proc/meminfo) -gt 500 ] && echo meminfo
                cat /version; cat /host/sys/kernel/mm/transparent_hugepage/enabled | wc -l
                """
            let outcome = try Host.use { host in
                try host.run(script) { config in
                    config.append("mounts", Self.bind("/proc", "/host/proc", "rbind", "ro"))
                    config.append("mounts", Self.bind("/sys", "/host/sys", "rbind", "ro"))
                    config.append("mounts", Self.bind("/proc/version", "/version", "bind", "ro"))
                }
            }
            let version = try Files.text("/proc/version").split(separator: "\n").map(String.init)
            #expect(outcome.lines == ["cpu", "meminfo"] + version + ["1"], "\(outcome)")
        }

        @Test("places are taken by the words: no \".\", no \"..\", no doubled slash")
        func placesAreCleaned() throws {
            try Host.use { host in
                for name in ["dev", "q"] { try File.makeDirectories(host.directory + "/" + name, mode: 0o755) }
                try Files.write(host.directory + "/file", "file\n")
                let bundle = try host.bundle("cat /etc/foo; ls -d /q; ls -d /a 2>&1") { config in
                    config.append("mounts", Self.bind(host.directory + "/dev", "/./dev/.", "rbind", "rw"))
                    config.append("mounts", Self.bind(host.directory + "/file", "/etc//foo/", "bind"))
                    config.append("mounts", Self.bind(host.directory + "/q", "../../a/../q", "bind"))
                    config.set("root.readonly", false)
                }
                // The second time the places are there.
                for _ in 1...2 {
                    let outcome = try host.run(bundle)
                    #expect(outcome.lines == ["file", "/q", "ls: /a: No such file or directory"], "\(outcome)")
                }
                #expect(try File.list(host.directory + "/dev").isEmpty, "a /dev that is bound is the caller's")
            }
        }

        @Test func rootIsNoPlace() throws {
            try Host.use { host in
                for mount: JSONValue in [
                    Self.bind(host.directory, "/", "bind"), ["destination": "/tmp/..", "type": "tmpfs"],
                ] {
                    let outcome = try host.run("echo never") { $0.append("mounts", mount) }
                    #expect(
                        outcome.code == 1
                            && outcome.err.contains(
                                "mounts[7].destination: is the container's root, which is there already"),
                        "\(outcome)")
                }
            }
        }

        @Test func overlaysOfOddNames() throws {
            try Host.use { host in
                for name in ["lo:w", "up", "work"] {
                    try File.makeDirectories("\(host.directory)/\(name)", mode: 0o755)
                }
                try Files.write(host.directory + "/lo:w/file", "lower\n")
                let outcome = try host.run("cat /o/file") {
                    $0.append(
                        "mounts",
                        [
                            "destination": "/o", "type": "overlay", "source": "overlay",
                            "options": [
                                .string("lowerdir=\(host.directory)/lo\\:w"), .string("upperdir=\(host.directory)/up"),
                                .string("workdir=\(host.directory)/work"),
                            ],
                        ])
                }
                #expect(outcome.lines == ["lower"], "\(outcome)")
            }
        }

        @Test func propagationIsWarnedOf() throws {
            try Host.use { host in
                _ = try host.run("true") { $0.append("mounts", Self.bind(host.directory, "/h", "rbind", "rslave")) }
                #expect(try Files.text(host.log).contains("mounts[7]: rslave holds inside the guest"))
            }
        }
    }
}

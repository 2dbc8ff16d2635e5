import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Several containers in one guest: who is given namespaces of another container lives where they are.
    @Suite(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) struct Pods {
        private static let files = ["network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"]

        /// A bundle with namespaces of the container `first`.
        private func member(
            of first: String, _ host: Host, _ script: String, joining kinds: [String] = ["network", "ipc", "uts"],
            _ edit: (inout JSONValue) -> Void = { _ in }
        ) throws -> Bundle {
            let pid = try #require(try host.state(first)?["pid"]?.integer)
            return try host.bundle(script) { config in
                config.set(
                    "linux.namespaces",
                    .array(
                        ["pid", "mount", "network", "ipc", "uts", "cgroup"].map { kind in
                            kinds.contains(kind)
                                ? [
                                    "type": .string(kind),
                                    "path": .string("/proc/\(pid)/ns/\(Self.files[kind] ?? kind)"),
                                ] : ["type": .string(kind)]
                        }))
                config.set("hostname", nil)
                edit(&config)
            }
        }

        /// The first container, which has the guest; ended after `body`.
        private func withFirst(
            _ script: String = "echo ready; sleep 1000",
            _ edit: (inout JSONValue) -> Void = { _ in }, _ body: (Host, String) throws -> Void
        ) throws {
            try Host.use { host in
                let first = host.id + "-first"
                let run = try host.starting(try host.bundle(script, edit), ["--detach"], id: first)
                try run.wait(forOutput: "ready")
                defer { _ = try? host.command("delete", "--force", first) }
                try body(host, first)
            }
        }

        @Test func shareWhatTheyJoined() throws {
            let serve =
                "hostname podhost; ipcmk -M 64 >/dev/null 2>&1; while :; do nc -l -p 5000 -e echo from-first; done"
            try withFirst("echo ready; \(serve)", { $0.set("process.capabilities.bounding", ["CAP_SYS_ADMIN"]) }) {
                host, first in
                let namespaces = "for kind in net ipc uts; do readlink /proc/self/ns/$kind; done"
                let theirs = try host.command("exec", first, "sh", "-c", namespaces).out
                let second = try member(
                    of: first, host, "\(namespaces); nc 127.0.0.1 5000 </dev/null; exit 7")
                let outcome = try host.run(second)
                #expect(outcome.code == 7, "\(outcome)")
                #expect(outcome.out == theirs + "from-first\n", "\(outcome)")
                // The others are its own.
                let own = try host.run(
                    try member(of: first, host, "for kind in pid mnt; do readlink /proc/self/ns/$kind; done; echo $$"))
                #expect(own.code == 0 && own.lines.last == "1")
                let other = try host.command(
                    "exec", first, "sh", "-c", "for kind in pid mnt; do readlink /proc/self/ns/$kind; done")
                #expect(Set(own.lines).isDisjoint(with: other.lines))
            }
        }

        @Test("a member may set what is its own, and nothing of the kernel that others have too")
        func kernelParametersOfMembers() throws {
            try withFirst("echo ready; sleep 1000") { host, first in
                for key in ["vm.overcommit_memory", "kernel/core_pattern"] {
                    let outcome = try host.run(
                        try member(of: first, host, "echo never") { $0.set("linux.sysctl", [key: "1"]) })
                    #expect(outcome.code == 1 && outcome.err.contains("linux.sysctl: \"\(key)\" is in no namespace"))
                }
                let own = try host.run(
                    try member(of: first, host, "cat /proc/sys/net/ipv4/ip_default_ttl") {
                        $0.set("linux.sysctl", ["net.ipv4.ip_default_ttl": "99"])
                    })
                #expect(own.lines == ["99"], "\(own)")
            }
        }

        @Test("user, cgroup and time namespaces too; the host sees the same of those that stand for them")
        func usersCgroupAndTime() throws {
            let kinds = ["user", "cgroup", "time"]
            let mapping: JSONValue = [["containerID": 0, "hostID": 100_000, "size": 65536]]
            let edit = { (config: inout JSONValue) in
                for kind in kinds { config.append("linux.namespaces", ["type": .string(kind)]) }
                config.set("linux.uidMappings", mapping)
                config.set("linux.gidMappings", mapping)
                config.set("linux.timeOffsets", ["boottime": ["secs": 100_000, "nanosecs": 0]])
            }
            try withFirst("echo ready; sleep 1000", edit) { host, first in
                let script =
                    "for kind in user cgroup time; do readlink /proc/self/ns/$kind; done; cat /proc/self/uid_map; "
                    + "cut -d. -f1 /proc/uptime; id -u; touch /dev/shm/file; stat -c %u /dev/shm/file"
                let theirs = try host.command("exec", first, "sh", "-c", script)
                #expect(theirs.code == 0, "\(theirs)")
                let second = try member(of: first, host, script + "; echo ready; sleep 1000", joining: kinds) {
                    config in
                    config.append(
                        "linux.namespaces", ["type": "user", "path": .string(Self.path(host, first, "user"))])
                    config.append(
                        "linux.namespaces", ["type": "time", "path": .string(Self.path(host, first, "time"))])
                }
                let run = try host.starting(second, ["--detach"])
                try run.wait(forOutput: "ready")
                defer { _ = try? host.command("delete", "--force", host.id) }
                let own = run.out.split(separator: "\n").map(String.init)
                #expect(
                    own.count == 8 && Array(own.prefix(4)) == Array(theirs.lines.prefix(4)), "\(own) \(theirs.lines)")
                #expect(own[3].split(separator: " ") == ["0", "100000", "65536"])
                #expect(own[5] == "0" && own[6] == "0")
                for uptime in [own[4], theirs.lines[4]] { #expect((100_000...101_000).contains(Int(uptime) ?? 0)) }
                let exec = try host.command("exec", host.id, "sh", "-c", "cat /proc/self/uid_map; echo x > /dev/stdout")
                #expect(exec.code == 0 && exec.lines == [own[3], "x"], "\(exec)")
                for kind in kinds {
                    let standIns = [Self.path(host, first, kind), Self.path(host, host.id, kind)].map(Self.target)
                    #expect(standIns[0] == standIns[1] && standIns[0] != Self.target("/proc/self/ns/\(kind)"))
                }
                let pid = try #require(try host.state(host.id)?["pid"]?.integer)
                let map = String(decoding: try File.readStart("/proc/\(pid)/uid_map", count: 100), as: UTF8.self)
                #expect(map.split { $0 == " " || $0 == "\n" } == ["0", "100000", "65536"])
            }
        }

        private static func path(_ host: Host, _ id: String, _ file: String) -> String {
            "/proc/\((try? host.state(id)?["pid"]?.integer) ?? 0)/ns/\(file)"
        }

        private static func target(_ link: String) -> String {
            var buffer = [CChar](repeating: 0, count: 200)
            let count = readlink(link, &buffer, buffer.count)
            return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }

        /// Every command works on it as on any other container.
        @Test func aWholeLife() throws {
            try withFirst { host, first in
                let script = "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"
                let bundle = try member(of: first, host, script)
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                #expect(try host.status() == "created")
                #expect(try host.command("start", host.id).code == 0)
                try create.wait(forOutput: "up")
                #expect(try host.command("exec", host.id, "sh", "-c", "echo inside; exit 3").code == 3)
                #expect(try host.command("exec", first, "true").code == 0)
                #expect(try host.command("pause", host.id).code == 0)
                #expect(try host.status() == "paused" && host.status(first) == "running")
                #expect(try host.command("resume", host.id).code == 0)
                #expect(try host.command("ps", host.id).lines.count > 1)
                #expect(try host.command("update", "--pids-limit", "20", host.id).code == 0)
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                #expect(eventually { (try? host.status()) == "stopped" })
                try create.wait(forOutput: "bye")
                #expect(try host.command("delete", host.id).code == 0)
                #expect(try host.status() == nil && host.status(first) == "running")
                // The id, and everything else, is free again.
                for round in 0..<5 {
                    let again = try host.run(try member(of: first, host, "echo \(round)"))
                    #expect(again.out == "\(round)\n" && again.code == 0, "\(again)")
                }
            }
        }

        /// Volumes reach a guest that runs already, and the host's changes reach who watches them.
        @Test func volumes() throws {
            try withFirst { host, first in
                let folder = host.directory + "/v"
                try File.makeDirectories(folder, mode: 0o755)
                try Files.write(folder + "/f", "of the host\n")
                try Files.write(host.directory + "/single", "one file\n")
                let bundle = try member(
                    of: first, host,
                    "cat /v/f /single; echo in > /v/g; touch /ro/x; inotifyd - /v:n | head -n 1; echo seen"
                ) {
                    $0.append(
                        "mounts",
                        ["destination": "/v", "type": "bind", "source": .string(folder), "options": ["rbind", "rw"]])
                    $0.append(
                        "mounts", ["destination": "/ro", "source": .string(folder), "options": ["bind", "ro"]])
                    $0.append(
                        "mounts",
                        [
                            "destination": "/single", "source": .string(host.directory + "/single"),
                            "options": ["bind"],
                        ])
                }
                let run = try host.starting(bundle)
                try run.wait("the file of the container") { File.exists(folder + "/g") }
                try run.wait("the watch") {
                    usleep(300_000)
                    try Files.write(
                        folder + "/new-\(run.stdout.count)-\(getpid())-\(Clock.monotonicNanoseconds())", "x")
                    return run.out.contains("seen")
                }
                let outcome = try run.finish()
                #expect(outcome.out.hasPrefix("of the host\none file\n"), "\(outcome)")
                #expect(outcome.err.contains("/ro/x: Read-only file system"))
            }
        }

        /// A guest that gathers writes would overwrite what the host writes to a volume that came later.
        @Test func volumesOfAnotherConfiguration() throws {
            try Host.use { host in
                try host.configure("[files]\nrootfs_cache = \"always\"\nvolume_cache = \"always\"\n")
                let first = host.id + "-first"
                let run = try host.starting(try host.bundle("echo ready; sleep 1000"), ["--detach"], id: first)
                try run.wait(forOutput: "ready")
                defer { _ = try? host.command("delete", "--force", first) }
                let same = try host.run(try member(of: first, host, "echo same"))
                #expect(same.out == "same\n", "\(same)")
                try Files.write(host.directory + "/config.toml", "[files]\nrootfs_cache = \"auto\"\n")
                let other = try host.run(try member(of: first, host, "echo other"))
                #expect(other.code != 0 && other.err.contains("the guest gathers writes"), "\(other)")
            }
        }

        @Test func processesOfTheOtherWithItsPidNamespace() throws {
            try withFirst("echo ready; exec sleep 4321") { host, first in
                let bundle = try member(
                    of: first, host, "cat /proc/1/cmdline | tr '\\0' ' '; sleep 100 & exit 4",
                    joining: ["network", "ipc", "uts", "pid"])
                let outcome = try host.run(bundle)
                #expect(outcome.code == 4 && outcome.out == "sleep 4321 ", "\(outcome)")
                // What it left running went with it.
                #expect(try !host.command("exec", first, "ps").out.contains("sleep 100"))
            }
        }

        /// The guest stays for as long as somebody lives in it, also when its first container has been deleted.
        @Test func theFirstEndsFirst() throws {
            try withFirst("trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done") { host, first in
                let run = try host.starting(
                    try member(of: first, host, "echo up; read -r word; echo $word > /f; cat /f; exit 6") {
                        $0.set("root.readonly", false)
                    }, stdin: .pipe)
                try run.wait(forOutput: "up")
                #expect(try host.command("kill", first, "TERM").code == 0)
                #expect(eventually(within: 5) { (try? host.status(first)) == "stopped" })
                #expect(try host.command("exec", host.id, "echo", "still here").out == "still here\n")
                #expect(try host.command("delete", first).code == 0)
                #expect(try host.status(first) == nil && host.status() == "running")
                #expect(try host.command("exec", host.id, "echo", "and here").out == "and here\n")
                run.write("word\n")
                let outcome = try run.finish()
                #expect(outcome.code == 6 && outcome.out == "up\nword\n", "\(outcome)")
            }
        }

        @Test func theFirstIsDeletedByForce() throws {
            try withFirst { host, first in
                let run = try host.starting(
                    try member(of: first, host, "echo up; read -r word; exit 6"), stdin: .pipe)
                try run.wait(forOutput: "up")
                #expect(try host.command("delete", "--force", first).code == 0)
                #expect(try host.status(first) == nil && host.status() == "running")
                // Longer than anybody's patience.
                usleep(2_500_000)
                #expect(try host.status() == "running")
                run.write("word\n")
                #expect(try run.finish().code == 6)
            }
        }

        /// Who ran the first container in the foreground sees the end of its guest, and those in it are told why.
        @Test func theFirstWasInTheForeground() throws {
            try Host.use { host in
                let first = host.id + "-first"
                let foreground = try host.starting(
                    try host.bundle("echo ready; read -r word; exit 2"), id: first, stdin: .pipe)
                try foreground.wait(forOutput: "ready")
                let run = try host.starting(try member(of: first, host, "echo up; sleep 1000"))
                try run.wait(forOutput: "up")
                foreground.write("word\n")
                #expect(try foreground.finish().code == 2)
                #expect(try run.finish().code == 137)
                #expect(try Files.text(host.log).contains("container \(first), in whose guest this one was, has ended"))
            }
        }

        /// kill -9 of the member's supervisor ends its processes; of the first one's, everything.
        @Test func crashes() throws {
            try withFirst { host, first in
                let bundle = try member(of: first, host, "echo up; exec sleep 7654")
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "up")
                kill(try #require(try host.processes()["supervisor"]), SIGKILL)
                #expect(eventually(within: 2) { (try? host.status()) == "stopped" })
                #expect(
                    try eventually(within: 5) { try !host.command("exec", first, "sh", "-c", "ls /proc").out.isEmpty })
                #expect(try host.command("delete", "--force", host.id).code == 0)
                let again = try host.starting(bundle, ["--detach"])
                try again.wait(forOutput: "up")
                kill(try #require(try host.processes(first)["supervisor"]), SIGKILL)
                #expect(eventually(within: 3) { (try? host.status()) == "stopped" })
                #expect(try host.command("delete", "--force", host.id).code == 0)
                #expect(try host.command("delete", "--force", first).code == 0)
            }
        }

        @Test func whatCannotBeJoined() throws {
            try withFirst { host, first in
                func refused(_ kind: String, _ path: String) throws -> String {
                    let bundle = try host.bundle("true") {
                        $0.set(
                            "linux.namespaces", [["type": .string(kind), "path": .string(path)], ["type": "mount"]])
                        $0.set("hostname", nil)
                        $0.set("linux.maskedPaths", [])
                        $0.set("linux.readonlyPaths", [])
                    }
                    let outcome = try host.run(bundle)
                    #expect(outcome.code == 1 && outcome.complaints.count == 1)
                    return outcome.err
                }
                let hosts = try refused("network", "/proc/\(getpid())/ns/net")
                #expect(hosts.contains("is no namespace of a container under"), "\(hosts)")
                #expect(try refused("network", "/no/such").contains("linux.namespaces[0].path: /no/such: No such file"))
                let pid = try #require(try host.state(first)?["pid"]?.integer)
                #expect(
                    try refused("cgroup", "/proc/\(pid)/ns/uts").contains("is no namespace of a container under"))
            }
        }
    }
}

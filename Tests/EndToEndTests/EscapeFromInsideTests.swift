import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Containers that go for what made them: the runtime's program, the host's files, the /proc that they are seen by.
    @Suite struct EscapesFromInside {
        /// Size, inode and time of what `make build` made.
        private struct Builds: Equatable {
            private let facts: [[Int]]

            init() {
                facts = [Build.binary, Build.vmm, Build.kernel, Build.initramfs].map { path in
                    var status = stat()
                    guard stat(path, &status) == 0 else { return [] }
                    return [
                        Int(status.st_size), Int(status.st_ino), status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                        status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
                    ]
                }
            }
        }

        /// CVE-2019-5736: the program that enters a container is opened from inside through /proc, and overwritten.
        @Test func programOfTheRuntime() throws {
            let before = Builds()
            try Host.use { host in
                let all = JSONValue(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN", "CAP_KILL"])
                let script = """
                    attack() { for p in /proc/[0-9]*; do
                        exe=$(readlink $p/exe) || continue
                        case $exe in /bin/*) ;; ?*) echo "found $exe"; (echo x > $p/exe) && echo written;; esac
                    done; }
                    echo ready; while [ ! -e /stop ]; do attack 2>/dev/null; done; echo end
                    """
                let bundle = try host.bundle(script) {
                    $0.set("root.readonly", false)
                    for set in ["bounding", "effective", "permitted"] { $0.set("process.capabilities.\(set)", all) }
                }
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                // What is executed is the helper's own program, if anything.
                for _ in 0..<5 { _ = try host.command("exec", host.id, "/proc/self/exe", "sleep", "1") }
                let sane = try host.command("exec", host.id, "sh", "-c", "echo sane")
                #expect(sane.out == "sane\n", "\(sane)")
                try Files.write(bundle.rootfs + "/stop", "")
                let outcome = try run.finish()
                #expect(outcome.lines.last == "end" && !outcome.out.contains("written"), "\(outcome.out)")
                #expect(Builds() == before)
                // As the first program there is nothing yet but the agent's child.
                let first = try host.run(
                    try host.bundle { $0.set("process.args", ["/proc/self/exe", "--version"]) })
                #expect(first.code != 0, "\(first)")
                #expect(try host.run("echo again").out == "again\n")
            }
            #expect(Builds() == before)
        }

        /// As CVE-2024-21626: a path that begins at a descriptor which the runtime has left open leads out of the container.
        @Test func descriptorsAreNoWayOut() throws {
            try Host.use { host in
                let inner = host.id + "-inner"
                let paths = (3..<40).map { "/proc/self/fd/\($0)/../../../../init" }
                let bundle = try host.bundle("echo ready; sleep 1000") { config in
                    config.set("process.args", [.string(paths[10])])
                }
                // The image's own choice, at the number that the agent's directory once had.
                let first = try host.run(bundle)
                #expect(first.code == 127 || first.code == 126 || first.code == 1, "\(first)")
                #expect(!first.err.contains("kvm-agent"), "\(first)")
                let run = try host.starting(try host.bundle("echo ready; sleep 1000"), ["--detach"], id: inner)
                try run.wait(forOutput: "ready")
                defer { _ = try? host.command("delete", "--force", inner) }
                for path in paths {
                    let outcome = try host.command("exec", inner, path)
                    #expect(outcome.code == 255 && !outcome.err.contains("kvm-agent"), "\(path) \(outcome)")
                }
            }
        }

        /// The agent's program, run by a script of the image's: it does nothing there.
        @Test func agentsProgramIsNobodysAgent() throws {
            try Host.use { host in
                func bundle(_ arguments: JSONValue) throws -> Bundle {
                    let bundle = try host.bundle {
                        $0.set("process.args", arguments)
                        for set in ["bounding", "effective", "permitted"] {
                            $0.set("process.capabilities.\(set)", ["CAP_SYS_BOOT", "CAP_KILL"])
                        }
                    }
                    try Files.write(bundle.rootfs + "/bin/self", "#!/proc/self/exe\n", mode: 0o755)
                    return bundle
                }
                let first = try host.run(try bundle(["/bin/self"]))
                #expect(first.code == 126 && first.out.isEmpty && !first.err.contains("kvm-agent"), "\(first)")
                let second = try host.run(
                    try bundle(["sh", "-c", "sleep 1000 & /bin/self; echo $?; kill -0 $! && echo lives"]))
                #expect(second.lines.last == "lives", "\(second)")
            }
        }

        /// What waits between clone and exec is a copy of the agent, and has nothing of its for others to take.
        @Test func childThatWaitsHasNothing() throws {
            try Host.use { host in
                let bundle = try host.bundle("true") {
                    for set in ["bounding", "effective", "permitted"] {
                        $0.set("process.capabilities.\(set)", ["CAP_SYS_PTRACE"])
                    }
                }
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                defer { _ = try? host.command("delete", "--force", host.id) }
                let seen = try host.command(
                    "exec", "--user", "0", host.id, "sh", "-c",
                    "for fd in /proc/1/fd/*; do readlink $fd; done | sed 's/:.*//' | sort | uniq -c")
                let lines = seen.lines.map { $0.split(separator: " ").map(String.init) }
                // stdio, twice until exec, and the socket to the agent.
                #expect(
                    !lines.isEmpty && lines.allSatisfy { ["pipe", "socket", "/dev/null"].contains($0.last ?? "") },
                    "\(seen)")
                #expect(lines.filter { $0.last == "socket" }.allSatisfy { Int($0[0]) ?? 99 <= 7 }, "\(seen)")
            }
        }

        /// The whole host, read-only with all that is mounted below.
        @Test("with \"ro\" and with \"rro\"", arguments: ["ro", "rro"])
        func rootOfTheHost(word: String) throws {
            try Host.use { host in
                let mark = host.directory + "/made"
                try Files.write(host.directory + "/file", "of the host\n", mode: 0o666)
                chmod(host.directory, 0o777)
                // /tmp, a tmpfs and a directory: whatever the host has mounted where.
                let places = ["/tmp", "/dev/shm", "/run", "/var/tmp"].filter(File.isDirectory)
                let name = "kvm-runtime-escape-\(getpid())"
                let score = "/proc/\(getpid())/oom_score_adj"
                let before = try Files.text(score)
                defer {
                    for place in places { unlink("\(place)/\(name)") }
                    try? Files.write(score, before)
                }
                let script = """
                    cat /host\(host.directory)/file
                    write() { echo x 2>/dev/null > /host\(mark); echo x 2>/dev/null >> /host\(host.directory)/file
                        for p in \(places.joined(separator: " ")); do touch /host$p/\(name) 2>/dev/null && echo "wrote $p"; done
                        mkdir /host\(mark) 2>/dev/null && echo mkdir; rm /host\(host.directory)/file 2>/dev/null && echo rm
                        mv /host\(host.directory)/file /host\(host.directory)/moved 2>/dev/null && echo mv
                        chmod 0 /host\(host.directory)/file 2>/dev/null && echo chmod; }
                    write
                    mount -o remount,bind,rw /host 2>/dev/null; write
                    (echo 7 > /host\(score)) 2>/dev/null && echo proc
                    (echo x > /host/dev/null) 2>/dev/null; echo end
                    """
                let outcome = try host.run(script) {
                    $0.append(
                        "mounts",
                        ["destination": "/host", "source": "/", "options": ["rbind", .string(word), "rprivate"]])
                    // It may even mount: what is read-only on the host stays so.
                    for set in ["bounding", "effective", "permitted"] {
                        $0.append("process.capabilities.\(set)", "CAP_SYS_ADMIN")
                        $0.append("process.capabilities.\(set)", "CAP_DAC_OVERRIDE")
                    }
                }
                #expect(outcome.lines == ["of the host", "end"], "\(outcome)")
                #expect(!File.exists(mark) && !File.exists(host.directory + "/moved"))
                for place in places { #expect(!File.exists("\(place)/\(name)"), "\(place)") }
                #expect(try Files.text(score) == before)
                #expect(File.mode(host.directory + "/file").map { $0 & 0o777 } == 0o666)
                #expect(try Files.text(host.directory + "/file") == "of the host\n")
            }
        }

        /// What the runtime writes to /proc for the container goes to the guest's own, whatever is mounted there.
        @Test("a mount over /proc, and over parts of it", arguments: ["/proc", "/proc/self", "/proc/sys", "/proc/1"])
        func mountsOverProc(destination: String) throws {
            try Host.use { host in
                let fake = host.directory + "/fake"
                let files = ["self/oom_score_adj", "self/attr/exec", "sys/net/ipv4/ip_forward", "net/ipv4/ip_forward"]
                for file in files + ["oom_score_adj", "attr/exec"] {
                    let path = "\(fake)/\(file)"
                    try File.makeDirectories(
                        String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex)), mode: 0o777)
                    try Files.write(path, "fake\n", mode: 0o666)
                }
                let outcome = try host.run("echo started; id -u") {
                    $0.set("root.readonly", false)
                    $0.set("process.oomScoreAdj", 300)
                    $0.set("process.user", ["uid": 1000, "gid": 1000])
                    $0.set("linux.sysctl", .object(JSONObject([("net.ipv4.ip_forward", "1")])))
                    $0.append(
                        "mounts",
                        ["destination": .string(destination), "source": .string(fake), "options": ["rbind", "rw"]])
                }
                // Started or refused; never half.
                #expect(outcome.lines == ["started", "1000"] || outcome.code != 0 && outcome.out.isEmpty, "\(outcome)")
                for file in files {
                    #expect(try Files.text("\(fake)/\(file)") == "fake\n", "\(file)")
                }
                #expect(try Files.text("\(fake)/oom_score_adj") == "fake\n")
            }
        }

        @Test func fileSystemsOverProc() throws {
            try Host.use { host in
                let before = try Files.text("/proc/sys/net/ipv4/ip_forward")
                let outcome = try host.run("echo started; ls /proc | wc -l") {
                    $0.append("mounts", ["destination": "/proc", "type": "tmpfs", "source": "tmpfs"])
                    $0.append("mounts", ["destination": "/proc/self", "type": "tmpfs", "source": "tmpfs"])
                    $0.set("linux.sysctl", .object(JSONObject([("net.ipv4.ip_forward", "1")])))
                }
                #expect(outcome.lines.first == "started" || outcome.code != 0, "\(outcome)")
                #expect(try Files.text("/proc/sys/net/ipv4/ip_forward") == before)
            }
        }
    }
}

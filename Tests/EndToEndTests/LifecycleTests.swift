import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// create, start, state, list, kill, delete, and `run` with --detach, --keep and --pid-file.
    @Suite struct Lifecycle {
        @Test func fromCreateToDelete() throws {
            try Host.use { host in
                let bundle = try host.bundle(
                    "trap 'exit 5' TERM; echo started > /tmp/mark; while :; do sleep 0.05; done"
                ) {
                    $0.set("root.readonly", false)
                    $0.set("annotations", ["org.example.key": "value"])
                }
                let mark = bundle.rootfs + "/tmp/mark"
                let pidFile = host.directory + "/pid"
                let create = try host.start(["create", "--bundle", bundle.path, "--pid-file", pidFile, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)

                let created = try #require(try host.state())
                #expect(created["status"] == "created")
                #expect(created["id"]?.string == host.id)
                #expect(created["bundle"]?.string == bundle.path)
                #expect(created["annotations"] == ["org.example.key": "value"])
                let pid = try #require(created["pid"]?.integer.map { pid_t($0) })
                #expect(try Files.text(pidFile) == "\(pid)")
                #expect(Processes.state(of: pid) != nil)
                #expect(!File.exists(mark), "the program must not run before start")

                #expect(try host.command("start", host.id).code == 0)
                #expect(eventually { File.exists(mark) })
                #expect(try host.status() == "running")
                let again = try host.command("start", host.id)
                #expect(again.code == 1)
                #expect(again.err == "kvm-runtime: cannot start an already running container\n")
                let early = try host.command("delete", host.id)
                #expect(early.code == 1)
                #expect(early.err == "kvm-runtime: cannot delete container \(host.id) that is not stopped: running\n")

                #expect(try host.command("kill", host.id, "SIGTERM").code == 0)
                #expect(eventually { (try? host.status()) == "stopped" })
                // Its supervisor, an orphan since `create` ended, has the container's exit code.
                #expect(eventually { Leaks.parent(of: pid) == getpid() && Processes.state(of: pid) == "Z" })
                #expect(try Processes.wait(pid) == .exited(code: 5))
                let stopped = try #require(try host.state())
                #expect(stopped["pid"] == 0)
                let late = try host.command("kill", host.id, "TERM")
                #expect(late.code == 1)
                #expect(late.err == "kvm-runtime: container not running\n")
                #expect(
                    try host.command("start", host.id).err == "kvm-runtime: cannot start a container that has stopped\n"
                )
                #expect(try host.command("delete", host.id).code == 0)
                let gone = try host.command("state", host.id)
                #expect(gone.code == 1)
                #expect(gone.err == "kvm-runtime: container does not exist: \(host.id)\n")
            }
        }

        @Test func detachedRunIsListedAndDeletedByForce() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo out; echo err >&2; exec sleep 100")
                let pidFile = host.directory + "/pid"
                let run = try host.starting(bundle, ["--detach", "--pid-file", pidFile])
                try run.wait("the end of the command") { !run.isRunning }
                try run.wait(forOutput: "out\n")
                try run.wait("stderr") { run.err == "err\n" }
                let pid = try #require(pid_t(try Files.text(pidFile)))

                let list = try JSONValue.parse(try host.command("list", "--format", "json").stdout)
                #expect(list.elements.count == 1)
                #expect(list.at("0.id")?.string == host.id)
                #expect(list.at("0.status") == "running")
                #expect(list.at("0.owner") == "root")
                #expect(list.at("0.pid") == .integer(Int64(pid)))
                let table = try host.command("list").lines
                #expect(table.count == 2)
                #expect(table.first?.hasPrefix("ID ") == true)
                #expect(
                    table.last?.contains(" running ") == true && table.last?.hasSuffix("Z root") == true, "\(table)")
                #expect(try host.command("list", "--quiet").out == host.id + "\n")
                // Whoever the state belongs to, by name, or by number where nobody has it. `state` has no owner, as in runc.
                for (uid, owner) in [(uid_t(1), "daemon"), (4_000_000_001, "#4000000001"), (0, "root")] {
                    chown(host.root + "/" + host.id, uid, 0)
                    #expect(try host.command("list").lines.last?.hasSuffix("Z " + owner) == true)
                    let list = try JSONValue.parse(try host.command("list", "--format", "json").stdout)
                    #expect(list.at("0.owner")?.string == owner)
                }
                #expect(try host.state()?["owner"] == "")

                // The id is taken as long as the container exists.
                let second = try host.run(bundle)
                #expect(second.code == 1)
                #expect(second.err == "kvm-runtime: container with given ID already exists: \(host.id)\n")
                #expect(try host.status() == "running")

                #expect(try host.command("delete", "--force", host.id).code == 0)
                #expect(try run.finish().code == 0)
                #expect(Processes.state(of: pid) ?? "Z" == "Z")
                #expect(try host.command("list", "--quiet").out.isEmpty)
                // runc: no error if there is none.
                #expect(try host.command("delete", "--force", host.id).code == 0)
                #expect(try host.command("delete", host.id).code == 1)
            }
        }

        @Test func killReachesInitAndAll() throws {
            try Host.use { host in
                let bundle = try host.bundle(
                    "trap 'echo init' USR1; (trap 'echo child' USR1; echo one; while :; do sleep 0.05; done) & "
                        + "echo two; while :; do sleep 0.05; done")
                let run = try host.starting(bundle)
                try run.wait("both") { run.out.contains("one") && run.out.contains("two") }
                #expect(try host.command("kill", host.id, "10").code == 0)
                try run.wait(forOutput: "init")
                #expect(!run.out.contains("child"))
                #expect(try host.command("kill", "--all", host.id, "SIGUSR1").code == 0)
                try run.wait(forOutput: "child")
                let wrong = try host.command("kill", host.id, "NOSUCH")
                #expect(wrong.code == 1)
                #expect(wrong.err == "kvm-runtime: unknown signal \"NOSUCH\"\n")
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(try run.finish().code == 128 + SIGKILL)
            }
        }

        @Test func keptContainerIsStoppedAndCanBeDeleted() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("exit 6"), ["--keep"])
                #expect(outcome.code == 6)
                #expect(try host.status() == "stopped")
                // Nothing but what `state` needs.
                #expect(
                    try File.list("\(host.root)/\(host.id)").sorted() == ["cgroup.json", "config.json", "state.json"])
                #expect(try host.command("delete", host.id).code == 0)
            }
        }

        @Test func createdContainerCanBeKilledAndDeleted() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo never")
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(eventually { (try? host.status()) == "stopped" })
                #expect(try host.command("delete", host.id).code == 0)
                #expect(create.out.isEmpty)
            }
        }

        /// Nobody is there to write down how it ended; whoever looks finds it stopped.
        @Test func detachedContainerWhoseSupervisorWasKilledIsStopped() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo ready; sleep 100"), ["--detach"])
                try run.wait(forOutput: "ready")
                try run.wait("the end of the command") { !run.isRunning }
                kill(try #require(try host.processes()["supervisor"]), SIGKILL)
                #expect(eventually(within: 5) { Leaks.descendants().isEmpty }, "its machine must die with it")
                #expect(try host.status() == "stopped")
                #expect(try host.command("kill", host.id, "TERM").err == "kvm-runtime: container not running\n")
                #expect(try host.command("delete", host.id).code == 0)
            }
        }

        /// What the container's pid is on the host: its own namespaces, with the container's files and no host's in them.
        @Test func standInIsInTheContainersPlace() throws {
            try Host.use { host in
                let volume = host.directory + "/volume"
                try File.makeDirectories(volume, mode: 0o755)
                try Files.write(volume + "/f", "of the volume")
                let bundle = try host.bundle("echo ready; trap 'exit 0' TERM; while :; do sleep 0.1; done") {
                    $0.append(
                        "mounts",
                        ["destination": "/vol", "type": "bind", "source": .string(volume), "options": ["rbind"]])
                    $0.set("root.readonly", false)
                    $0.set("hostname", "inner")
                }
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                let pid = try #require(try host.processes()["stand-in"])
                let root = "/proc/\(pid)/root"
                #expect(try Files.text(root + "/vol/f") == "of the volume")
                #expect(try Running("/usr/bin/nsenter", ["-t", "\(pid)", "-u", "hostname"]).finish().out == "inner\n")
                #expect(try Files.text(root + "/proc/1/cmdline").hasPrefix("kvm-runtime:\0/bin/sh\0-c\0echo ready"))
                #expect(!File.exists(root + "/proc/\(getpid())/cmdline") || getpid() == 1)
                // Where the guest has something of its own, nothing can be put that would not be seen there.
                #expect(throws: (any Error).self) { try Files.write(root + "/dev/x", "") }
                try Files.write(root + "/root/seen", "")
                #expect(try host.command("exec", host.id, "ls", "/root").out == "seen\n")
                // An image's programs are not for the host's kernel.
                let inside = try Running("/usr/bin/nsenter", ["-t", "\(pid)", "-m", "/bin/sh", "-c", "true"]).finish()
                #expect(inside.err.contains("Permission denied"), "\(inside)")
                for namespace in ["mnt", "pid", "net", "uts", "ipc"] {
                    #expect(try Files.link("/proc/\(pid)/ns/\(namespace)") != Files.link("/proc/self/ns/\(namespace)"))
                }
                #expect(try Files.text("/proc/\(pid)/status").contains("CapEff:\t0000000000000000"))
                // A signal to it is one to the container's init.
                kill(pid, SIGTERM)
                #expect(try run.finish().code == 0)
            }
        }

        @Test func killedStandInEndsTheContainer() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo ready; sleep 100"), ["--detach"])
                try run.wait(forOutput: "ready")
                try run.wait("the end of the command") { !run.isRunning }
                kill(try #require(try host.processes()["stand-in"]), SIGKILL)
                #expect(eventually(within: 2) { (try? host.status()) == "stopped" })
                #expect(eventually(within: 5) { Leaks.descendants().isEmpty })
                #expect(try host.command("delete", host.id).code == 0)
            }
        }

        /// The bundle is the current directory, and a relative root is relative to it.
        @Test func pathsAreRelativeToTheCurrentDirectory() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo here")
                let outcome = try Running(
                    "/usr/bin/env",
                    ["-C", bundle.path, Build.binary, "--log", host.log, "--root", "../root", "run", host.id]
                ).finish()
                #expect(outcome.out == "here\n", "\(outcome.err)")
                #expect(outcome.code == 0)
                #expect(File.isDirectory(host.root))
            }
        }

        @Test(arguments: ["", ".", "..", "a/b", "../escape", "with space", "ünï", String(repeating: "x", count: 300)])
        func badIDsAreRefused(id: String) throws {
            try Host.use { host in
                let bundle = try host.bundle("echo never")
                for command in [["run", "--bundle", bundle.path, id], ["state", id], ["delete", "--force", id]] {
                    let outcome = try host.start(command).finish()
                    #expect(outcome.code == 1)
                    #expect(outcome.complaints.count == 1)
                    #expect(outcome.err.contains("container id"), "\(outcome.err)")
                }
            }
        }

        @Test func pidFileThatCannotBeWrittenEndsTheContainer() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("echo never"), ["--pid-file", host.directory + "/none/pid"])
                #expect(outcome.code == 1)
                #expect(outcome.out.isEmpty)
                #expect(outcome.complaints.count == 1)
                #expect(outcome.err.contains("--pid-file") && outcome.err.contains("No such file or directory"))
            }
        }
    }
}

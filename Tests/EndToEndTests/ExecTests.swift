import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// `exec`: another process in a running container.
    @Suite struct Execs {
        /// A container that runs until it is told to end.
        private func running(
            _ host: Host, terminal: Bool = false, _ edit: (inout JSONValue) -> Void = { _ in }
        ) throws -> Running {
            let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"
            let run = try host.starting(try host.bundle(script, edit))
            try run.wait(forOutput: "ready")
            return run
        }

        private func end(_ host: Host, _ run: Running) throws {
            #expect(try host.command("kill", host.id, "TERM").code == 0)
            #expect(try run.finish().code == 0)
        }

        @Test func streamsCodesAndPlace() throws {
            try Host.use { host in
                let run = try running(host) {
                    $0.set("hostname", "inner")
                    $0.append("linux.namespaces", ["type": "cgroup"])
                }
                let exec = try host.start(
                    ["exec", host.id, "sh", "-c", "cat; echo err >&2; hostname; exit 42"], stdin: .pipe)
                exec.write("in\n")
                exec.closeInput()
                let outcome = try exec.finish()
                #expect(outcome.out == "in\ninner\n" && outcome.err == "err\n" && outcome.code == 42)

                // Its pid namespace, cgroup and root are the container's.
                let place = try host.command(
                    "exec", host.id, "sh", "-c",
                    "cat /proc/self/cgroup; for n in pid mnt net ipc uts cgroup; do "
                        + "[ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo $n; done; "
                        + "[ /proc/1/root/bin/sh -ef /bin/sh ] && echo same; ls /proc/self/fd | wc -l")
                #expect(place.out == "0::/\nsame\n4\n", "\(place)")
                #expect(try host.command("exec", host.id, "sh", "-c", "kill -9 $$").code == 137)
                try end(host, run)
            }
        }

        @Test func optionsOfTheCommandLine() throws {
            try Host.use { host in
                let run = try running(host) {
                    $0.set("process.env", ["PATH=/bin", "ONE=1"])
                    $0.set("process.noNewPrivileges", false)
                    $0.set("root.readonly", false)
                }
                let show = "echo $ONE $TWO; pwd; id -u; id -g; id -G; grep -E 'Cap(Eff|Amb)|NoNew' /proc/self/status"
                let outcome = try host.command(
                    "exec", "--cwd", "/tmp", "-e", "TWO=2", "--env", "ONE=one", "--user", "1000:1001",
                    "--additional-gids", "7", "-g", "8", "--cap", "CAP_NET_RAW", "--no-new-privs", host.id, "sh", "-c",
                    show)
                #expect(outcome.code == 0 && outcome.err.isEmpty, "\(outcome)")
                #expect(
                    outcome.lines == [
                        "one 2", "/tmp", "1000", "1001", "1001 7 8", "CapEff:\t0000000000000000",
                        "CapAmb:\t0000000000000000", "NoNewPrivs:\t1",
                    ], "\(outcome)")
                try end(host, run)
            }
        }

        /// What containerd and podman give: the whole process as a file.
        @Test func processFile() throws {
            try Host.use { host in
                let run = try running(host)
                let file = host.directory + "/process.json"
                try Files.write(
                    file,
                    #"{"user":{"uid":5,"gid":6,"additionalGids":[9]},"args":["sh","-c","id -u; id -G; echo $X"],"#
                        + #""env":["PATH=/bin","X=y"],"cwd":"/","rlimits":[{"type":"RLIMIT_NOFILE","hard":77,"soft":66}]}"#
                )
                #expect(try host.command("exec", "--process", file, host.id).out == "5\n6 9\ny\n")
                try Files.write(file, #"{"args":["sh"],"cwd":"/","user":{"uid":-1}}"#)
                let wrong = try host.command("exec", "--process", file, host.id)
                #expect(wrong.code == 255)
                #expect(wrong.complaints.count == 1 && wrong.err.contains("uid"), "\(wrong.err)")
                try end(host, run)
            }
        }

        @Test func detachedHasAStandInOnTheHost() throws {
            try Host.use { host in
                let run = try running(host)
                let pidFile = host.directory + "/exec.pid"
                func detach(_ script: String) throws -> pid_t {
                    unlink(pidFile)
                    let exec = try host.command(
                        "exec", "--detach", "--pid-file", pidFile, host.id, "sh", "-c", script, readingToTheEnd: false)
                    #expect(exec.code == 0, "\(exec.err)")
                    return try #require(pid_t(try Files.text(pidFile)))
                }
                // Its exit code is the process's, for whoever waits: here an orphan's new parent.
                #expect(try Processes.wait(try detach("sleep 0.2; exit 9")) == .exited(code: 9))
                // Signals reach the process.
                let trapping = try detach("trap 'exit 8' USR1; while :; do sleep 0.05; done")
                #expect(try eventually { try host.command("exec", host.id, "ps").out.contains("exit 8") })
                usleep(300_000)
                kill(trapping, SIGUSR1)
                #expect(try Processes.wait(trapping) == .exited(code: 8))
                // As does its death, which can't be told in advance.
                let killed = try detach("exec sleep 1234")
                kill(killed, SIGKILL)
                #expect(try Processes.wait(killed) == .signaled(signal: SIGKILL))
                #expect(try eventually { try !host.command("exec", host.id, "ps").out.contains("sleep 1234") })
                try end(host, run)
            }
        }

        @Test("an exec that goes does not cut off what the init has still to say")
        func initsOutputAfterAnExec() throws {
            try Host.use { host in
                let bundle = try host.bundle(
                    "trap 'head -c 300000 /dev/zero; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                let exec = try host.start(["exec", host.id, "sleep", "100"])
                #expect(try eventually { try host.command("exec", host.id, "ps").out.contains("sleep 100") })
                run.pausesReading = true
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                // More than the caller's pipe holds, and less than what is on the way: the init ends, and with it the exec.
                _ = try exec.finish()
                run.pausesReading = false
                let outcome = try run.finish()
                #expect(outcome.stdout.count == 300_006 && outcome.code == 0)
            }
        }

        @Test func endsWithTheContainer() throws {
            try Host.use { host in
                let run = try running(host)
                let exec = try host.start(["exec", host.id, "sh", "-c", "echo begun; sleep 1000"])
                try exec.wait(forOutput: "begun")
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(try exec.finish().code == 137)
                #expect(try run.finish().code == 137)
            }
        }

        @Test func noByteIsLostWhenTheContainerEnds() throws {
            try Host.use { host in
                let run = try running(host)
                // The init is gone as soon as the writer is: nothing of what it wrote may go with the machine.
                let exec = try host.start(
                    ["exec", host.id, "sh", "-c", "head -c 3000000 /dev/zero; kill -TERM 1"])
                let outcome = try exec.finish()
                #expect(outcome.stdout.count == 3_000_000)
                #expect(try run.finish().code == 0)
            }
        }

        @Test func terminalOfItsOwn() throws {
            try Host.use { host in
                let run = try running(host)
                let terminal = try OuterTerminal(rows: 30, columns: 90)
                let before = try terminal.settings
                let exec = try host.start(
                    [
                        "exec", "--tty", host.id, "sh", "-c",
                        "tty; stty size; echo ready.; read x; echo \"<$x>\"; exit 4",
                    ],
                    on: terminal)
                try exec.wait(for: "ready.", on: terminal)
                #expect(terminal.text.contains("/dev/pts/") && terminal.text.contains("30 90"))
                try terminal.type("word\r")
                try exec.wait(for: "<word>", on: terminal)
                #expect(try exec.finish().code == 4)
                #expect(try terminal.settings == before)
                try end(host, run)
            }
        }

        @Test func refusals() throws {
            try Host.use { host in
                let run = try running(host)
                let cases: [([String], String)] = [
                    (["exec", host.id, "nosuch"], #"exec: "nosuch": executable file not found in $PATH"#),
                    (["exec", host.id, "/etc/passwd"], #"exec: "/etc/passwd": permission denied"#),
                    (["exec", "--cwd", "/none", host.id, "true"], "chdir to cwd"),
                    (["exec", host.id], "process args cannot be empty"),
                    (["exec", "--user", "x", host.id, "true"], "--user"),
                    (["exec", "--cap", "CAP_NONE", host.id, "true"], "unknown capability"),
                    (
                        ["exec", "--preserve-fds", "1", host.id, "true"],
                        "unable to stat preserved-fd 0 (of 1): descriptor 3 is not open"
                    ),
                    (["exec", "--preserve-fds=-1", host.id, "true"], "--preserve-fds: -1 is out of range (0 to 60)"),
                    (["exec", "--cgroup", "x", host.id, "true"], "in the cgroup x: no such file or directory"),
                    (["exec", "--cgroup", "../x", host.id, "true"], "bad sub cgroup path: ../x"),
                    (["exec", "--cgroup", "cpu:x", host.id, "true"], "--cgroup cpu:x: a guest has cgroup v2"),
                    (["exec", "--apparmor", "p", host.id, "true"], "apparmorProfile"),
                    (["exec", "--tty", host.id, "true"], "stdin is one"),
                    (["exec", "--tty", "--detach", host.id, "true"], "console socket"),
                    (["exec", "--process", "/none", host.id], "--process /none: No such file or directory"),
                    (["exec", "none-such", "true"], "container does not exist: none-such"),
                ]
                for (command, words) in cases {
                    let outcome = try host.start(command).finish()
                    #expect(outcome.code == 255, "\(command)")
                    #expect(outcome.complaints.count == 1 && outcome.err.contains(words), "\(command): \(outcome.err)")
                }
                // A detached one says so before it is detached.
                let file = host.directory + "/p"
                #expect(
                    try host.command("exec", "--pid-file", file, host.id, "nosuch").code == 255 && !File.exists(file))
                let detached = try host.command("exec", "-d", "--pid-file", file, host.id, "nosuch")
                #expect(detached.code == 255 && detached.err.contains("not found in $PATH") && !File.exists(file))
                try end(host, run)
                let late = try host.command("exec", host.id, "true")
                #expect(late.code == 255)
            }
        }

        @Test func manyAtOnceAndOneAfterTheOther() throws {
            try Host.use { host in
                let run = try running(host)
                let many = try (0..<12).map {
                    try host.start(["exec", host.id, "sh", "-c", "sleep 0.3; echo \($0); exit \($0)"])
                }
                for (number, exec) in many.enumerated() {
                    let outcome = try exec.finish()
                    #expect(outcome.code == Int32(number) && outcome.out == "\(number)\n")
                }
                let supervisor = try #require(try host.processes()["supervisor"])
                func descriptors() -> Int { (try? File.list("/proc/\(supervisor)/fd").count) ?? .max }
                let before = descriptors()
                for _ in 0..<30 { #expect(try host.command("exec", host.id, "true").code == 0) }
                #expect(eventually(within: 5) { descriptors() <= before })
                #expect(try host.command("exec", host.id, "sh", "-c", "ls /proc | grep -c '^[0-9]'").out.trimmed < "7")
                try end(host, run)
            }
        }
    }
}

extension String {
    fileprivate var trimmed: String { filter { !$0.isWhitespace } }
}

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What callers do to a command that is none of its business: odd pipes, limits, signals, spellings.
    @Suite struct Callers {
        private func withContainer(_ edit: (inout JSONValue) -> Void = { _ in }, _ body: (Host) throws -> Void) throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo ready; exec sleep 1000", edit), ["--detach"])
                try run.wait(forOutput: "ready")
                defer { _ = try? host.command("delete", "--force", host.id) }
                try body(host)
            }
        }

        /// Through a shell, with the options of the host's commands in `$K`.
        private func shell(_ host: Host, _ script: String) throws -> Outcome {
            let words = ([Build.binary] + host.globals).map { "'\($0)'" }.joined(separator: " ")
            return try Running("/bin/bash", ["-c", "k() { \(words) \"$@\"; }\n" + script]).finish()
        }

        @Test("a process that does not read its stdin, or whose output nobody reads, ends as it wants to")
        func pipesThatBreak() throws {
            try withContainer { host in
                let unread = try shell(
                    host,
                    """
                    for i in 1 2 3 4; do head -c 500000 /dev/zero | k exec \(host.id) sh -c 'exit 9'; echo $?; done
                    seq 200000 | k exec \(host.id) head -n 1; echo $?
                    """)
                #expect(unread.lines == ["9", "9", "9", "9", "1", "0"], "\(unread)")
                let unheard = try shell(
                    host,
                    """
                    { k exec \(host.id) sh -c "trap '' PIPE; echo x; sleep 0.5; echo y; sleep 0.3; echo survived >&2; exit 3"
                      echo $? >&2; } | head -c 2
                    """)
                #expect(unheard.err.contains("survived") && unheard.err.hasSuffix("3\n"), "\(unheard)")
            }
        }

        @Test("the last of several values of a variable is the only one")
        func environment() throws {
            try withContainer { host in
                let words = ["-e", "TERM=dumb", "-e", "HOME=/a", "-e", "HOME=/b"]
                let outcome = try host.start(["exec"] + words + [host.id, "env"]).finish()
                #expect(outcome.lines.filter { $0.hasPrefix("TERM=") } == ["TERM=dumb"], "\(outcome)")
                #expect(outcome.lines.filter { $0.hasPrefix("HOME=") } == ["HOME=/b"], "\(outcome)")
            }
        }

        @Test("options as Go's flag package reads them")
        func spellings() throws {
            try withContainer { host in
                let id = host.id
                for words in [
                    ["update", "--memory", "-1", id], ["update", "-cpu-quota", "-1", id],
                    ["update", "--pids-limit", "-1", id],
                    ["exec", "-tty=false", "-e", "-X=1", id, "env"],
                    ["exec", "--env=", "-cwd=/tmp", id, "sh", "-c", "[ $PWD = /tmp ]"],
                    ["exec", id, "sh", "-c", "[ $1 = -x=false ]", "sh", "-x=false"], ["state", id], ["kill", id, "0"],
                ] {
                    let outcome = try host.start(words).finish()
                    #expect(outcome.code == 0, "\(words) \(outcome)")
                    #expect(outcome.lines.contains("-X=1") == words.contains("-X=1"), "\(words) \(outcome)")
                }
                for words in [
                    "-debug=true -root '\(host.root)' list -q",
                    "--log '' --log-format=json --root='\(host.root)' list -q",
                ] {
                    let listed = try shell(host, "'\(Build.binary)' \(words)")
                    #expect(listed.out == id + "\n", "\(words) \(listed)")
                }
                let version = try host.start(["--version"]).finish()
                #expect(version.out.hasPrefix("kvm-runtime version "), "\(version)")
                let script = try Running(Build.binary, ["--generate-completion-script", "bash"]).finish()
                #expect(script.code == 0 && script.out.contains("complete"), "\(script)")
                let wrong = try host.start(["exec", "--tty=perhaps", id, "true"]).finish()
                #expect(wrong.code == 1 && wrong.err.hasPrefix("kvm-runtime: "), "\(wrong)")
            }
        }

        /// The table of GoFlags is right: what it does not name would take no value that begins with a dash.
        @Test func everyOptionTakesAnyValue() throws {
            let help = try JSONValue.parse(try Running(Build.binary, ["--experimental-dump-help"]).finish().stdout)
            var commands = help.at("command.subcommands")?.elements ?? []
            // checkpoint and restore pass over what they do not know, and would open a log of the name.
            commands.removeAll { ["help", "checkpoint", "restore"].contains($0["commandName"]?.string ?? "") }
            #expect(commands.count > 15)
            for command in commands {
                let name = try #require(command["commandName"]?.string)
                for argument in command["arguments"]?.elements ?? [] where argument["kind"] == "option" {
                    let option = try #require(argument.at("preferredName.name")?.string)
                    let outcome = try Running(Build.binary, [name, "--\(option)", "-1", "--no-such-option"]).finish()
                    #expect(!outcome.err.contains("Missing value"), "\(name) --\(option): \(outcome.err)")
                }
                for argument in command["arguments"]?.elements ?? [] where argument["kind"] == "flag" {
                    let flag = try #require(argument.at("preferredName.name")?.string)
                    guard !["help", "version"].contains(flag) else { continue }
                    let outcome = try Running(Build.binary, [name, "--\(flag)=false", "--no-such-option"]).finish()
                    #expect(!outcome.err.contains("--\(flag)"), "\(name) --\(flag): \(outcome.err)")
                }
            }
        }

        @Test("the caller ignores the ends of its children, and has small limits")
        func signalsAndLimits() throws {
            try Host.use { host in
                let mark = host.directory + "/mark"
                let bundle = try host.bundle("echo out; exit 5") {
                    $0.set(
                        "hooks.prestart", [["path": "/bin/sh", "args": ["sh", "-c", .string("echo x >'\(mark)'")]]])
                }
                let words = ([Build.binary] + host.globals + ["run", "--bundle", bundle.path, host.id])
                let script =
                    "import os, resource, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
                    + "resource.setrlimit(resource.RLIMIT_FSIZE, (102400, resource.RLIM_INFINITY)); "
                    + "resource.setrlimit(resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY)); os.execv(sys.argv[1], sys.argv[1:])"
                let outcome = try Running("/usr/bin/python3", ["-c", script] + words).finish()
                #expect(outcome.code == 5 && outcome.out == "out\n", "\(outcome)")
                #expect(try Files.text(mark) == "x\n")
            }
        }

        @Test("a terminal may be there without being stdin")
        func inputIsAPipe() throws {
            try Host.use { host in
                let terminal = try OuterTerminal(rows: 30, columns: 90)
                let bundle = try host.bundle("stty size; read line; echo \"<$line>\"; tty", terminal: true)
                let words = ([Build.binary] + host.globals + ["run", "--bundle", bundle.path, host.id])
                let run = try Running(
                    "/bin/sh", ["-c", "echo typed | \"$@\"", "sh"] + words, stdin: .null,
                    stdout: .descriptor(terminal.slave.raw), stderr: .descriptor(terminal.slave.raw))
                try run.wait(for: "/dev/pts/0", on: terminal)
                #expect(try run.finish().code == 0)
                #expect(terminal.text.contains("30 90") && terminal.text.contains("<typed>"), "\(terminal.text)")
            }
        }

        @Test("a capability of an exec is not inherited by what it executes, as with runc")
        func capabilities() throws {
            try withContainer { host in
                let script = "grep -E '^Cap(Inh|Prm|Amb)' /proc/self/status | cut -f 2"
                let outcome = try host.command("exec", "--cap", "CAP_NET_ADMIN", host.id, "sh", "-c", script)
                let sets = outcome.lines.compactMap { UInt64($0, radix: 16) }.map { $0 >> 12 & 1 }
                #expect(sets == [0, 1, 0], "\(outcome)")
            }
        }

        @Test("a limit of 0 says nothing to update, as with runc")
        func zeroes() throws {
            try withContainer(
                {
                    $0.set("linux.resources", ["cpu": ["quota": 50000, "period": 100_000], "pids": ["limit": 30]])
                    $0.append("linux.namespaces", ["type": "cgroup"])
                },
                { host in
                    let id = host.id
                    let words = ["--cpu-quota", "0", "--cpu-period", "0", "--pids-limit", "0", "--memory", "0"]
                    #expect(try host.start(["update"] + words + [id]).finish().code == 0)
                    let limits = try host.command(
                        "exec", id, "cat", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/pids.max")
                    #expect(limits.lines == ["50000 100000", "30"], "\(limits)")
                })
        }

        @Test("what can't be printed is an error")
        func fullOutput() throws {
            try withContainer { host in
                for words in ["list", "list -f json", "ps -f json \(host.id)", "state \(host.id)", "features"] {
                    let outcome = try shell(host, "k \(words) >/dev/full")
                    #expect(
                        outcome.code == 1 && outcome.err.contains("No space left on device"), "\(words): \(outcome)")
                }
            }
        }
    }
}

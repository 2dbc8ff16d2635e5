import Glibc
import JSON
import JailCompiler
import LinuxSys
import OCISpec
import Testing

extension EndToEnd {
    /// containerd, through its own runc shim, with our program in runc's place.
    @Suite(.enabled(if: obstacle == nil, "\(obstacle ?? "")")) struct Containerd {
        private static let namespace = "kvm-tests-\(getpid())"

        private func use(_ body: (Host, Clients, (_ arguments: [String]) -> [String]) throws -> Void) throws {
            try Host.use { host in
                let clients = try Clients(host.directory + "/cd")
                let socket = clients.directory + "/sock"
                try Files.write(
                    clients.directory + "/config.toml",
                    """
                    version = 2
                    root = "\(clients.directory)/root"
                    state = "\(clients.directory)/state"
                    disabled_plugins = ["io.containerd.grpc.v1.cri"]
                    [grpc]
                    address = "\(socket)"
                    [ttrpc]
                    address = "\(clients.directory)/ttrpc"
                    """)
                let image = try clients.makeImage("oci")
                let command = [
                    "sh", "-c",
                    "exec containerd --config \(clients.directory)/config.toml --log-level error >\(clients.directory)/log 2>&1",
                ]
                func ctr(_ arguments: [String]) -> [String] {
                    ["ctr", "--address", socket, "--namespace", Self.namespace] + arguments
                }
                try clients.withDaemon(
                    command, isReady: { try clients.start(ctr(["version"])).finish().code == 0 }
                ) {
                    #expect(try clients.start(ctr(["image", "import", image])).finish().code == 0)
                    try body(host, clients, ctr)
                    // Shims end a moment after their last container.
                    _ = eventually(within: 10) {
                        !Leaks.descendants().contains { Leaks.command(of: $0).contains("containerd-shim") }
                    }
                }
                rmdir("/run/containerd/runc/" + Self.namespace)
                // containerd makes it the parent of its containers' cgroups.
                for hierarchy in (try? File.list("/sys/fs/cgroup")) ?? [] {
                    rmdir("/sys/fs/cgroup/\(hierarchy)/\(Self.namespace)")
                }
                rmdir("/sys/fs/cgroup/" + Self.namespace)
            }
        }

        private func run(_ options: String..., id: String, _ command: String...) -> [String] {
            ["run"] + options + ["--runc-binary", Build.binary, Clients.image, id] + command
        }

        @Test func foreground() throws {
            try use { host, clients, ctr in
                let first = try clients.start(ctr(run("--rm", id: "f", "sh", "-c", "echo out; echo err >&2; exit 5")))
                    .finish()
                #expect(first.code == 5 && first.out == "out\n" && first.err.contains("err\n"), "\(first)")
                let input = try clients.start(ctr(run("--rm", id: "i", "head", "-n", "1")), stdin: .pipe)
                // ctr never says that its input has ended: with runc too, a cat would wait for ever.
                input.write("through\n")
                #expect(try input.finish().out == "through\n")
                let terminal = try OuterTerminal(rows: 31, columns: 91)
                let tty = try Running(
                    "/usr/bin/setsid",
                    ["--ctty", "/usr/bin/env", "PATH=/usr/bin"]
                        + ctr(run("--rm", "-t", id: "t", "sh", "-c", "tty; exit 4")),
                    stdin: .descriptor(terminal.slave.raw), stdout: .descriptor(terminal.slave.raw))
                try tty.wait(for: "/dev/pts/0", on: terminal)
                #expect(try tty.finish().code == 4)
                // The filter that containerd makes by itself.
                let filtered = try clients.start(
                    ctr(run("--rm", "--seccomp", id: "s", "grep", "Seccomp:", "/proc/self/status"))
                ).finish()
                #expect(filtered.out == "Seccomp:\t2\n", "\(filtered)")
                let missing = try clients.start(ctr(run("--rm", id: "m", "nosuch"))).finish()
                #expect(
                    missing.code == 1 && missing.err.contains(#"exec: "nosuch": executable file not found in $PATH"#))
                #expect(try clients.start(ctr(["containers", "list", "-q"])).finish().out.isEmpty)
            }
        }

        /// The profile that containerd makes by itself, for a container with few and one with all capabilities: our filter of it
        /// is what libseccomp makes on another way.
        @Test func defaultProfile() throws {
            try use { host, clients, ctr in
                for options in [[], ["--privileged"]] {
                    let create = ["containers", "create", "--seccomp"] + options + [Clients.image, "p"]
                    #expect(try clients.start(ctr(create)).finish().code == 0)
                    let text = try clients.start(ctr(["containers", "info", "p"])).finish().stdout
                    let info = try JSONValue.parse(text)
                    let profile = try #require(info.at("Spec.linux.seccomp"))
                    #expect((profile["syscalls"]?.elements.count ?? 0) > 5)
                    let ours = try #require(try SeccompFilter(try Linux.Seccomp(json: profile)))
                    let program =
                        String(#filePath.dropLast("EndToEndTests/ContainerdTests.swift".count))
                        + "Programs/seccomp-filter.py"
                    let python = try Running("/usr/bin/env", ["python3", program], stdin: .pipe)
                    python.write(profile.bytes())
                    python.closeInput()
                    #expect(try python.finish().stdout == ours.program)
                    #expect(ours.program.count / 8 > 200)
                    #expect(try clients.start(ctr(["containers", "rm", "p"])).finish().code == 0)
                }
            }
        }

        @Test func tasks() throws {
            try use { host, clients, ctr in
                func task(_ arguments: String...) throws -> Outcome {
                    try clients.start(ctr(["task"] + arguments)).finish()
                }
                let script = "trap 'exit 7' TERM; while :; do sleep 0.1; done"
                let started = try clients.start(ctr(run("-d", id: "d", "sh", "-c", script))).finish()
                #expect(started.code == 0, "\(started.err)")
                let exec = try task("exec", "--exec-id", "e1", "d", "sh", "-c", "echo inside; exit 3")
                #expect(exec.code == 3 && exec.out == "inside\n", "\(exec)")
                #expect(try task("pause", "d").code == 0)
                #expect(try task("list").out.contains("PAUSED"))
                #expect(try task("resume", "d").code == 0)
                #expect(try task("list").out.contains("RUNNING"))
                #expect(try task("metrics", "d").out.contains("cpu"))
                let sleeper = try clients.start(ctr(["task", "exec", "--exec-id", "e2", "d", "sleep", "100"]))
                #expect(try eventually(within: 20) { try task("ps", "d").out.contains("ExecID:e2") })
                #expect(try task("kill", "--exec-id", "e2", "--signal", "KILL", "d").code == 0)
                #expect(try sleeper.finish().code == 137)
                #expect(try task("kill", "--signal", "TERM", "d").code == 0)
                #expect(try eventually(within: 20) { try task("list").out.contains("STOPPED") })
                #expect(try task("delete", "d").err.contains("exit with non-zero exit code 7"))
                #expect(try clients.start(ctr(["containers", "rm", "d"])).finish().code == 0)
            }
        }
    }
}

private let obstacle = Clients.obstacle("containerd", "ctr", "umoci", "skopeo")

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// podman, through conmon.
    @Suite(.enabled(if: obstacle == nil, "\(obstacle ?? "")")) struct Podman {
        private func use(_ body: (Clients, (_ arguments: String...) throws -> Outcome) throws -> Void) throws {
            try Host.use { host in
                let directory = host.directory + "/p"
                let configuration = directory + "/containers.conf"
                let clients = try Clients(directory, environment: ["CONTAINERS_CONF=" + configuration])
                // CI machines may not raise hard limits.
                try Files.write(
                    configuration, "[containers]\ndefault_ulimits = [\"nofile=1024:1024\",\"nproc=4096:4096\"]\n")
                let podman = [
                    "podman", "--root", directory + "/root", "--runroot", directory + "/run", "--tmpdir",
                    directory + "/tmp",
                    "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "file",
                    "--runtime", Build.binary,
                ]
                func command(_ arguments: String...) throws -> Outcome {
                    try clients.start(podman + arguments).finish()
                }
                defer {
                    _ = try? command("rm", "--all", "--force", "--time", "0")
                    for mount in ["/root/overlay", "/root/overlay-containers"] {
                        umount2(directory + mount, CInt(MNT_DETACH))
                    }
                    _ = eventually(within: 10) { Leaks.descendants().isEmpty }
                }
                #expect(try command("load", "--input", try clients.makeImage("docker")).code == 0)
                try body(clients, command)
            }
        }

        @Test func oneShots() throws {
            try use { clients, podman in
                func run(_ options: String..., command: String) throws -> Outcome {
                    // One word an argument; the command is a shell's.
                    try clients.start(
                        ["sh", "-c", #""$@""#, "sh"] + podmanWords(clients) + ["run", "--rm", "--network", "none"]
                            + options + [Clients.image, "sh", "-c", command]
                    ).finish()
                }
                let first = try run(command: "echo out; echo err >&2; exit 3")
                #expect(first.code == 3 && first.out == "out\n" && first.err.hasSuffix("err\n"), "\(first)")
                #expect(try run("--user", "1000:1001", command: "id -u; id -g").out == "1000\n1001\n")
                #expect(
                    try run("--read-only", "--tmpfs", "/t", command: "touch /x || touch /t/x && echo ok").out == "ok\n")
                #expect(
                    try run("--memory", "64m", "--ulimit", "nofile=100:200", command: "ulimit -n; ulimit -Hn").out
                        == "100\n200\n")
                try File.makeDirectories(clients.directory + "/v", mode: 0o755)
                try Files.write(clients.directory + "/v/f", "of the host\n")
                #expect(
                    try run("-v", clients.directory + "/v:/v", command: "cat /v/f; echo in > /v/g").out
                        == "of the host\n")
                #expect(try Files.text(clients.directory + "/v/g") == "in\n")
                // The default filter, and what it forbids.
                let filtered = try run(command: "grep Seccomp: /proc/self/status; unshare -n true")
                #expect(
                    filtered.out == "Seccomp:\t2\n" && filtered.err.contains("Operation not permitted"), "\(filtered)")
                // Privileged is all of the guest's, and nothing of the host's.
                let privileged = try run(
                    "--privileged",
                    command: "grep CapEff: /proc/self/status; ls /dev/kmsg; head -c 1 /dev/vda && echo was read")
                #expect(
                    privileged.out.contains("\t000001fffeffffff\n") && privileged.out.contains("/dev/kmsg"),
                    "\(privileged)")
                // podman names the host's devices; in the guest there is nothing behind them.
                #expect(!privileged.out.contains("was read") && privileged.err.contains("head: /dev/vda: No such"))
                let missing = try podman("run", "--rm", "--network", "none", Clients.image, "nosuch")
                #expect(missing.code == 127 && missing.err.contains("executable file not found in $PATH"), "\(missing)")
            }
        }

        /// For `run` above: podman with the same directories.
        private func podmanWords(_ clients: Clients) -> [String] {
            let directory = clients.directory
            return [
                "podman", "--root", directory + "/root", "--runroot", directory + "/run", "--tmpdir",
                directory + "/tmp",
                "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime",
                Build.binary,
            ]
        }

        @Test func lifeOfAContainer() throws {
            try use { clients, podman in
                let script = "trap 'echo got term; exit 7' TERM; echo up; while :; do sleep 0.1; done"
                let run = try podman(
                    "run", "-d", "--name", "aa", "--network", "none", Clients.image, "sh", "-c", script)
                #expect(run.code == 0, "\(run.err)")
                #expect(try eventually(within: 20) { try podman("logs", "aa").out.contains("up\n") })
                let exec = try podman("exec", "aa", "sh", "-c", "echo inside; exit 3")
                #expect(exec.code == 3 && exec.out == "inside\n", "\(exec)")
                #expect(try podman("exec", "aa", "nosuch").code == 127)
                #expect(
                    try podman(
                        "exec", "--user", "5", "--env", "X=y", "--workdir", "/tmp", "aa", "sh", "-c",
                        "id -u; echo $X; pwd"
                    ).out == "5\ny\n/tmp\n")

                #expect(try podman("pause", "aa").code == 0)
                #expect(try podman("inspect", "aa", "--format", "{{.State.Status}}").out == "paused\n")
                #expect(try podman("unpause", "aa").code == 0)

                // The host's side: the container's own process, and what it costs.
                let top = try podman("top", "aa").lines
                #expect(top.count == 2 && top[1].contains("kvm-runtime: sh -c"), "\(top)")
                let stats = try podman("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "aa").out
                #expect((Int(stats.split(separator: " ").first ?? "") ?? 0) >= 4, "\(stats)")

                // Copies go to the container, and never to the host.
                try Files.write(clients.directory + "/file", "copied\n")
                #expect(try podman("cp", clients.directory + "/file", "aa:/root/kvm-e2e-file").code == 0)
                #expect(try podman("exec", "aa", "cat", "/root/kvm-e2e-file").out == "copied\n")
                #expect(!File.exists("/root/kvm-e2e-file"))
                #expect(try podman("cp", "aa:/etc/passwd", clients.directory + "/passwd").code == 0)
                #expect(try Files.text(clients.directory + "/passwd").contains("a guest"))

                #expect(try podman("stop", "aa").code == 0)
                #expect(try podman("logs", "aa").out.hasSuffix("got term\n"))
                #expect(
                    try podman("inspect", "aa", "--format", "{{.State.ExitCode}} {{.State.Status}}").out == "7 exited\n"
                )
                #expect(try podman("events", "--stream=false", "--filter", "event=died").out.contains("died"))
                #expect(try podman("restart", "aa").code == 0)
                #expect(try podman("kill", "--signal", "KILL", "aa").code == 0)
                #expect(
                    try eventually(within: 20) {
                        try podman("inspect", "aa", "--format", "{{.State.ExitCode}}").out == "137\n"
                    })
                #expect(try podman("rm", "-f", "aa").code == 0)
            }
        }
    }
}

private let obstacle = Clients.obstacle("podman", "conmon", "umoci", "skopeo")

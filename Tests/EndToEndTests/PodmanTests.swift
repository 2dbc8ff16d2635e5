import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// podman, through conmon.
    @Suite(.enabled(if: PodmanPlace.obstacle == nil, "\(PodmanPlace.obstacle ?? "")")) struct Podman {
        @Test func oneShots() throws {
            try PodmanPlace.use { place in
                func run(_ options: String..., command: String) throws -> Outcome {
                    try place.start(
                        ["run", "--rm", "--network", "none"] + options + [Clients.image, "sh", "-c", command]
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
                // The init is podman's, and reaps what nobody waits for.
                let adopted = try run(
                    "--init",
                    command:
                        "tr '\\0' ' ' </proc/1/cmdline; (sleep 0.1 &); sleep 0.3; echo; ps -o stat | grep Z; exit 4")
                #expect(adopted.code == 4 && adopted.out.contains("podman-init -- sh -c"), "\(adopted)")
                #expect(adopted.lines.count == 1, "\(adopted.out)")
                let directory = place.directory
                try File.makeDirectories(directory + "/v", mode: 0o755)
                try Files.write(directory + "/v/f", "of the host\n")
                #expect(
                    try run("-v", directory + "/v:/v", command: "cat /v/f; echo in > /v/g").out == "of the host\n")
                #expect(try Files.text(directory + "/v/g") == "in\n")
                // The default filter, and what it forbids.
                let filtered = try run(command: "grep Seccomp: /proc/self/status; unshare -n true")
                #expect(
                    filtered.out == "Seccomp:\t2\n" && filtered.err.contains("Operation not permitted"), "\(filtered)")
                // Privileged is all of the guest's, and nothing of the host's, whose devices podman names.
                let privileged = try run(
                    "--privileged",
                    command:
                        "grep CapEff: /proc/self/status; ls /dev/kmsg /dev/fuse /dev/net/tun; ls /dev/vda /dev/nvme0"
                )
                #expect(
                    privileged.out.hasSuffix("\t000001fffeffffff\n/dev/fuse\n/dev/kmsg\n/dev/net/tun\n"),
                    "\(privileged)")
                let missing = try place.podman("run", "--rm", "--network", "none", Clients.image, "nosuch")
                #expect(missing.code == 127 && missing.err.contains("executable file not found in $PATH"), "\(missing)")
            }
        }

        /// One guest for all containers of a pod.
        @Test(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) func pods() throws {
            try PodmanPlace.use { place in
                let podman = place.podman
                let yaml = place.directory + "/pod.yaml"
                func container(_ name: String, _ script: String) -> String {
                    "  - name: \(name)\n    image: \(Clients.image)\n    imagePullPolicy: Never\n"
                        + "    command: [\"sh\", \"-c\", \"\(script)\"]\n"
                }
                try Files.write(
                    yaml,
                    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: mypod\nspec:\n  containers:\n"
                        + container("server", "while :; do nc -l -p 5000 -e echo from-server; done")
                        + container(
                            "client",
                            "trap 'echo bye; exit 0' TERM; until nc 127.0.0.1 5000 </dev/null; do sleep 0.1; done; hostname; while :; do sleep 0.1; done"
                        ))
                let play = try podman("play", "kube", "--network", "none", yaml)
                #expect(play.code == 0, "\(play.err)")
                #expect(
                    try eventually(within: 20) { try podman("logs", "mypod-client").out == "from-server\nmypod\n" })
                #expect(Leaks.descendants().filter { Leaks.command(of: $0).contains("qemu-system") }.count == 1)
                let exec = try podman("exec", "mypod-client", "nc", "127.0.0.1", "5000")
                #expect(exec.out == "from-server\n", "\(exec)")
                #expect(try podman("pod", "pause", "mypod").code == 0)
                #expect(try podman("pod", "unpause", "mypod").code == 0)
                let guest = try podman("run", "--rm", "--pod", "mypod", Clients.image, "hostname")
                #expect(guest.out == "mypod\n", "\(guest)")
                #expect(try podman("pod", "stop", "--time", "5", "mypod").code == 0)
                #expect(try podman("logs", "mypod-client").out.hasSuffix("bye\n"))
                #expect(try podman("inspect", "mypod-client", "--format", "{{.State.ExitCode}}").out == "0\n")
                #expect(try podman("pod", "rm", "--force", "mypod").code == 0)
            }
        }

        @Test func lifeOfAContainer() throws {
            try PodmanPlace.use { place in
                let podman = place.podman
                let script = "trap 'echo got term; exit 7' TERM; echo up; while :; do sleep 0.1; done"
                let run = try place.run(
                    "-d", "--name", "aa", "--health-cmd", "test -e /tmp/well", "--health-interval", "disable",
                    "--health-retries", "1", command: script)
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

                // A health check is an exec.
                #expect(try podman("healthcheck", "run", "aa").code == 1)
                #expect(try place.inspect("aa", "{{.State.Health.Status}}") == "unhealthy\n")
                #expect(try podman("exec", "aa", "touch", "/tmp/well").code == 0)
                #expect(try podman("healthcheck", "run", "aa").code == 0)
                #expect(try place.inspect("aa", "{{.State.Health.Status}}") == "healthy\n")

                #expect(try podman("pause", "aa").code == 0)
                #expect(try place.inspect("aa", "{{.State.Status}}") == "paused\n")
                #expect(try podman("unpause", "aa").code == 0)

                // The host's side: the container's own process, and what the whole sandbox costs.
                let top = try podman("top", "aa").lines
                #expect(top.count == 2 && top[1].contains("kvm-runtime: sh -c"), "\(top)")
                let stats = try JSONValue.parse(
                    try podman("stats", "--no-stream", "--format", "json", "aa").stdout)
                #expect((Int(stats.at("0.pids")?.string ?? "") ?? 0) >= 4, "\(stats.text())")
                // A guest that has booted holds some dozens of MB.
                let memory = stats.at("0.mem_usage")?.string ?? ""
                #expect(Double(memory.prefix { $0 != "M" }).map { $0 > 30 && $0 < 1000 } == true, "\(stats.text())")

                // Copies go to the container, and never to the host.
                try Files.write(place.directory + "/file", "copied\n")
                #expect(try podman("cp", place.directory + "/file", "aa:/root/kvm-e2e-file").code == 0)
                #expect(try podman("exec", "aa", "cat", "/root/kvm-e2e-file").out == "copied\n")
                #expect(!File.exists("/root/kvm-e2e-file"))
                #expect(try podman("cp", "aa:/etc/passwd", place.directory + "/passwd").code == 0)
                #expect(try Files.text(place.directory + "/passwd").contains("a guest"))

                // Somebody looks on from here to the end.
                let attached = try place.start(["attach", "--no-stdin", "aa"])
                #expect(try podman("exec", "aa", "sh", "-c", "echo seen >/proc/1/fd/1").code == 0)
                try attached.wait(forOutput: "seen\n")
                #expect(try podman("stop", "aa").code == 0)
                #expect(try attached.finish().out.contains("got term\n"))
                #expect(try podman("logs", "aa").out.hasSuffix("got term\n"))
                #expect(try place.inspect("aa", "{{.State.ExitCode}} {{.State.Status}}") == "7 exited\n")
                #expect(try died(place) == "7\n")
                #expect(try podman("restart", "aa").code == 0)
                #expect(try podman("kill", "--signal", "KILL", "aa").code == 0)
                #expect(try eventually(within: 20) { try place.inspect("aa", "{{.State.ExitCode}}") == "137\n" })
                #expect(try died(place) == "7\n137\n")
                #expect(try podman("rm", "-f", "aa").code == 0)
            }
        }

        /// The exit codes that podman's events have told.
        private func died(_ place: PodmanPlace) throws -> String {
            try place.podman(
                "events", "--stream=false", "--filter", "container=aa", "--filter", "event=died", "--format",
                "{{.ContainerExitCode}}"
            ).out
        }

        /// Standard input reaches a container that podman has started, and one that it attaches to.
        @Test func attach() throws {
            try PodmanPlace.use { place in
                let script = "while read line; do echo got $line; done; exit 6"
                let run = try place.run("-d", "-i", "--name", "aa", command: script)
                #expect(run.code == 0, "\(run.err)")
                let attached = try place.start(["attach", "aa"], stdin: .pipe)
                attached.write("one\ntwo\n")
                try attached.wait(forOutput: "got one\ngot two\n")
                attached.closeInput()
                _ = try attached.finish()
                #expect(try place.podman("wait", "aa").out == "6\n")
                let started = try place.start(["start", "--attach", "--interactive", "aa"], stdin: .pipe)
                started.write("three\n")
                started.closeInput()
                let outcome = try started.finish()
                #expect(outcome.code == 6 && outcome.out == "got three\n", "\(outcome)")
            }
        }
    }
}

import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// Docker, where its daemon is installed and starts: with a containerd of its own.
    @Suite(.enabled(if: DockerPlace.obstacle == nil, "\(DockerPlace.obstacle ?? "")")) struct Docker {
        @Test func lifeOfAContainer() throws {
            try DockerPlace.use { place in
                func docker(_ arguments: String...) throws -> Outcome { try place.docker(arguments) }
                let options = ["--runtime", "kvm", "--network", "none"]
                func run(_ more: String..., command: [String]) throws -> Outcome {
                    try place.docker(["run"] + options + more + [Clients.image] + command)
                }
                let first = try run("--rm", command: ["sh", "-c", "echo out; echo err >&2; exit 4"])
                #expect(first.code == 4 && first.out == "out\n" && first.err == "err\n", "\(first)")
                let script = "trap 'echo term; exit 7' TERM; echo up; while :; do sleep 0.1; done"
                #expect(try run("-d", "--name", "aa", command: ["sh", "-c", script]).code == 0)
                #expect(try eventually(within: 20) { try docker("logs", "aa").out == "up\n" })
                let exec = try docker("exec", "aa", "sh", "-c", "echo inside; exit 3")
                #expect(exec.code == 3 && exec.out == "inside\n", "\(exec)")
                #expect(try docker("top", "aa").out.contains("kvm-runtime: sh -c"))
                let top = try docker("top", "aa", "-eo", "pid,comm").lines
                #expect(top.count == 2 && top[1].hasSuffix("kvm-runtime"), "\(top)")
                let stats = try docker("stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "aa").out
                #expect(isCost(stats), "\(stats)")
                #expect(try docker("pause", "aa").code == 0)
                #expect(try docker("ps", "--format", "{{.Status}}").out.contains("(Paused)"))
                #expect(try docker("unpause", "aa").code == 0)
                #expect(try docker("stop", "aa").code == 0)
                #expect(try docker("logs", "aa").out == "up\nterm\n")
                #expect(try docker("inspect", "aa", "--format", "{{.State.ExitCode}}").out == "7\n")
                #expect(try docker("rm", "aa").code == 0)
            }
        }

        @Test func inAnothersNamespaces() throws {
            try DockerPlace.use { place in
                let run = ["run", "--runtime", "kvm"]
                let owner = try place.docker(
                    run + [
                        "-d", "--name", "owner", "--network", "none", "--ipc", "shareable", Clients.image, "sleep",
                        "1000",
                    ])
                #expect(owner.code == 0, "\(owner)")
                let member = try place.docker(
                    run + [
                        "--rm", "--network", "container:owner", "--pid", "container:owner", "--ipc", "container:owner",
                        Clients.image, "sh", "-c", "ps -o args | grep -c '[s]leep 1000'",
                    ])
                #expect(member.code == 0 && member.out == "1\n", "\(member)")
                #expect(try place.docker(["rm", "--force", "owner"]).code == 0)
            }
        }

        /// Some processes, and as much memory as a guest that has booted: "10 121MiB / 1.27GiB".
        private func isCost(_ stats: String) -> Bool {
            let words = stats.split(separator: " ")
            guard words.count >= 2, let processes = Int(words[0]), words[1].hasSuffix("MiB"),
                let memory = Double(words[1].dropLast(3))
            else { return false }
            return processes >= 4 && memory > 30 && memory < 1000
        }

        @Test func restartsAndHealth() throws {
            try DockerPlace.use { place throws in
                func docker(_ arguments: [String]) throws -> Outcome { try place.docker(arguments) }
                func inspect(_ container: String, _ format: String) throws -> String {
                    try docker(["inspect", container, "--format", format]).out
                }
                let run = ["run", "--detach", "--runtime", "kvm", "--network", "none"]
                let policy = ["--name", "rr", "--restart", "on-failure:1"]
                #expect(try docker(run + policy + [Clients.image, "false"]).code == 0)
                #expect(
                    try eventually(within: 30) {
                        try inspect("rr", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}") == "1 exited 1\n"
                    })

                // A health check runs by exec. The init is Docker's.
                let health = [
                    "--health-cmd", "test -e /tmp/well", "--health-interval", "500ms", "--health-retries", "1",
                ]
                let script = "echo up; exec sleep 60"
                #expect(
                    try docker(run + health + ["--name", "hh", "--init", Clients.image, "sh", "-c", script]).code == 0)
                func becomes(_ health: String) throws -> Bool {
                    try eventually(within: 30) { try inspect("hh", "{{.State.Health.Status}}") == health + "\n" }
                }
                #expect(try becomes("unhealthy"))
                #expect(try docker(["exec", "hh", "touch", "/tmp/well"]).code == 0)
                #expect(try becomes("healthy"))
                #expect(try docker(["exec", "hh", "cat", "/proc/1/comm"]).out == "docker-init\n")
                #expect(try docker(["restart", "--time", "0", "hh"]).code == 0)
                #expect(try eventually(within: 20) { try docker(["logs", "hh"]).out == "up\nup\n" })
                // The file was the container's own, and is still there.
                #expect(try becomes("healthy"))
                // Asked for right after it happened, an event was seen to be missing.
                let deaths = [
                    "events", "--since", "5m", "--until", "0s", "--filter", "event=die", "--filter", "container=rr",
                    "--format", "{{.Actor.Attributes.exitCode}}",
                ]
                #expect(try docker(deaths).out == "1\n1\n")
                #expect(try docker(["rm", "--force", "rr", "hh"]).code == 0)
            }
        }
    }
}

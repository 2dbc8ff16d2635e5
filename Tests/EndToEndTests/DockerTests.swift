import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// Docker, where its daemon is installed and starts: with a containerd of its own.
    @Suite(.enabled(if: obstacle == nil, "\(obstacle ?? "")")) struct Docker {
        private func use(_ body: (_ docker: ([String]) throws -> Outcome) throws -> Void) throws {
            try Host.use { host in
                let clients = try Clients(host.directory + "/d")
                let directory = clients.directory
                try Files.write(
                    directory + "/daemon.json",
                    """
                    {"runtimes":{"kvm":{"path":"\(Build.binary)"}},"data-root":"\(directory)/data",
                    "exec-root":"\(directory)/exec","pidfile":"\(directory)/pid","hosts":["unix://\(directory)/sock"],
                    "iptables":false,"ip6tables":false,"bridge":"none"}
                    """)
                let image = try clients.makeImage("docker")
                func docker(_ arguments: [String]) throws -> Outcome {
                    try clients.start([dockerClient, "--host", "unix://\(directory)/sock"] + arguments).finish()
                }
                let daemon = ["sh", "-c", "exec dockerd --config-file \(directory)/daemon.json >\(directory)/log 2>&1"]
                // Not every machine lets dockerd start.
                func isReady() throws -> Bool {
                    if try docker(["version"]).code == 0 { return true }
                    let log = (try? Files.text(directory + "/log")) ?? ""
                    guard let line = log.split(separator: "\n").last(where: { $0.contains("failed to start daemon") })
                    else {
                        return false
                    }
                    try Test.cancel("dockerd does not start here: \(line)")
                }
                try clients.withDaemon(daemon, isReady: isReady) {
                    #expect(try docker(["load", "--input", image]).code == 0)
                    try body(docker)
                    _ = eventually(within: 10) {
                        !Leaks.descendants().contains { Leaks.command(of: $0).contains("containerd-shim") }
                    }
                }
                // What the daemon leaves mounted in its own directories.
                for line in try Files.text("/proc/self/mounts").split(separator: "\n").reversed() {
                    let words = line.split(separator: " ")
                    if words.count > 1, words[1].hasPrefix(directory) { umount2(String(words[1]), CInt(MNT_DETACH)) }
                }
                for hierarchy in (try? File.list("/sys/fs/cgroup")) ?? [] {
                    rmdir("/sys/fs/cgroup/\(hierarchy)/docker")
                }
            }
        }

        @Test func lifeOfAContainer() throws {
            try use { list in
                func docker(_ arguments: String...) throws -> Outcome { try list(arguments) }
                let options = ["--runtime", "kvm", "--network", "none"]
                func run(_ more: String..., command: [String]) throws -> Outcome {
                    try list(["run"] + options + more + [Clients.image] + command)
                }
                let first = try run("--rm", command: ["sh", "-c", "echo out; echo err >&2; exit 4"])
                #expect(first.code == 4 && first.out == "out\n" && first.err == "err\n", "\(first)")
                let script = "trap 'echo term; exit 7' TERM; echo up; while :; do sleep 0.1; done"
                #expect(try run("-d", "--name", "aa", command: ["sh", "-c", script]).code == 0)
                #expect(try eventually(within: 20) { try docker("logs", "aa").out == "up\n" })
                let exec = try docker("exec", "aa", "sh", "-c", "echo inside; exit 3")
                #expect(exec.code == 3 && exec.out == "inside\n", "\(exec)")
                #expect(try docker("top", "aa").out.contains("kvm-runtime: sh -c"))
                #expect(try docker("stats", "--no-stream", "--format", "{{.PIDs}}", "aa").out != "0\n")
                #expect(try docker("pause", "aa").code == 0)
                #expect(try docker("ps", "--format", "{{.Status}}").out.contains("(Paused)"))
                #expect(try docker("unpause", "aa").code == 0)
                #expect(try docker("stop", "aa").code == 0)
                #expect(try docker("logs", "aa").out == "up\nterm\n")
                #expect(try docker("inspect", "aa", "--format", "{{.State.ExitCode}}").out == "7\n")
                #expect(try docker("rm", "aa").code == 0)
                // A restart policy.
                #expect(try run("-d", "--name", "rr", "--restart", "on-failure:1", command: ["false"]).code == 0)
                #expect(
                    try eventually(within: 30) {
                        try docker("inspect", "rr", "--format", "{{.RestartCount}} {{.State.Status}}").out
                            == "1 exited\n"
                    })
                #expect(try docker("rm", "-f", "rr").code == 0)
                // A health check runs by exec.
                #expect(
                    try run(
                        "-d", "--name", "hh", "--health-cmd", "true", "--health-interval", "1s",
                        command: ["sleep", "60"]
                    ).code == 0)
                #expect(
                    try eventually(within: 30) {
                        try docker("inspect", "hh", "--format", "{{.State.Health.Status}}").out == "healthy\n"
                    })
                #expect(try docker("rm", "-f", "hh").code == 0)
            }
        }
    }
}

/// Debian's, or another one that is in the way of it.
private let dockerClient = "/usr/bin/docker"
private let obstacle =
    File.isExecutable(dockerClient)
    ? Clients.obstacle("dockerd", "containerd", "umoci", "skopeo") : "docker (docker.io) not installed"

import Glibc
import LinuxSys
import Testing

/// A Docker daemon of the test's, with a containerd of its own and the image of `Clients`, and its client.
struct DockerPlace {
    /// Debian's, or another one that is in the way of it.
    private static let client = "/usr/bin/docker"
    static let obstacle =
        File.isExecutable(client)
        ? Clients.obstacle("dockerd", "containerd", "umoci", "skopeo") : "docker (docker.io) not installed"

    private let clients: Clients

    static func use(_ body: (DockerPlace) throws -> Void) throws {
        try Host.use { host in
            let place = DockerPlace(clients: try Clients(host.directory + "/d"))
            let directory = place.clients.directory
            try Files.write(
                directory + "/daemon.json",
                """
                {"runtimes":{"kvm":{"path":"\(Build.binary)"}},"data-root":"\(directory)/data",
                "exec-root":"\(directory)/exec","pidfile":"\(directory)/pid","hosts":["unix://\(directory)/sock"],
                "iptables":false,"ip6tables":false,"bridge":"none"}
                """)
            let image = try place.clients.makeImage("docker")
            let daemon = ["sh", "-c", "exec dockerd --config-file \(directory)/daemon.json >\(directory)/log 2>&1"]
            try place.clients.withDaemon(daemon, isReady: place.isReady) {
                #expect(try place.docker("load", "--input", image).code == 0)
                try body(place)
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

    /// Not every machine lets dockerd start.
    private func isReady() throws -> Bool {
        if try docker("version").code == 0 { return true }
        let log = (try? Files.text(clients.directory + "/log")) ?? ""
        guard let line = log.split(separator: "\n").last(where: { $0.contains("failed to start daemon") })
        else {
            return false
        }
        try Test.cancel("dockerd does not start here: \(line)")
    }

    func docker(_ arguments: [String]) throws -> Outcome {
        try clients.start([Self.client, "--host", "unix://\(clients.directory)/sock"] + arguments).finish()
    }

    func docker(_ arguments: String...) throws -> Outcome { try docker(arguments) }
}

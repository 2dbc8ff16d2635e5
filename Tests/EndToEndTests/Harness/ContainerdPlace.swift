import Glibc
import LinuxSys
import Testing

/// A containerd of the test's, with the image of `Clients`, and its client.
struct ContainerdPlace {
    static let obstacle = Clients.obstacle("containerd", "ctr", "umoci", "skopeo")
    private static let namespace = "kvm-tests-\(getpid())"

    let clients: Clients
    private var socket: String { clients.directory + "/sock" }

    static func use(_ body: (ContainerdPlace) throws -> Void) throws {
        try Host.use { host in
            let place = ContainerdPlace(clients: try Clients(host.directory + "/cd"))
            let directory = place.clients.directory
            try Files.write(
                directory + "/config.toml",
                """
                version = 2
                root = "\(directory)/root"
                state = "\(directory)/state"
                disabled_plugins = ["io.containerd.grpc.v1.cri"]
                [grpc]
                address = "\(place.socket)"
                [ttrpc]
                address = "\(directory)/ttrpc"
                """)
            let image = try place.clients.makeImage("oci")
            let command = [
                "sh", "-c",
                "exec containerd --config \(directory)/config.toml --log-level error >\(directory)/log 2>&1",
            ]
            try place.clients.withDaemon(command, isReady: { try place.ctr("version").code == 0 }) {
                #expect(try place.ctr("image", "import", image).code == 0)
                try body(place)
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

    private var program: [String] { ["ctr", "--address", socket, "--namespace", Self.namespace] }

    /// A command of ctr, not waited for.
    func start(_ arguments: [String], stdin: Input = .null) throws -> Running {
        try clients.start(program + arguments, stdin: stdin)
    }

    /// A command of ctr on a person's terminal, not waited for.
    func start(_ arguments: [String], on terminal: OuterTerminal) throws -> Running {
        try clients.start(program + arguments, on: terminal)
    }

    func ctr(_ arguments: String...) throws -> Outcome { try start(arguments).finish() }

    func task(_ arguments: String...) throws -> Outcome { try start(["task"] + arguments).finish() }
}

import Glibc
import LinuxSys
import Testing

/// podman and buildah with directories of their own, and the image of `Clients` in their store.
struct PodmanPlace {
    static let image = Clients.image
    static let obstacle = Clients.obstacle("podman", "conmon", "catatonit", "umoci", "skopeo")

    let clients: Clients
    var directory: String { clients.directory }

    static func use(_ body: (PodmanPlace) throws -> Void) throws {
        try Host.use { host in
            let place = try PodmanPlace(host.directory + "/p")
            defer { place.leave() }
            #expect(try place.podman("load", "--input", try place.clients.makeImage("docker")).code == 0)
            try body(place)
        }
    }

    private init(_ directory: String) throws {
        let configuration = directory + "/containers.conf"
        clients = try Clients(
            directory, environment: ["CONTAINERS_CONF=" + configuration, "TMPDIR=" + directory + "/temporary"])
        try File.makeDirectories(directory + "/temporary", mode: 0o700)
        // CI machines may not raise hard limits.
        try Files.write(configuration, "[containers]\ndefault_ulimits = [\"nofile=1024:1024\",\"nproc=4096:4096\"]\n")
    }

    private func leave() {
        _ = try? buildah(["rm", "--all"])
        _ = try? podman("rm", "--all", "--force", "--time", "0")
        for mount in ["/root/overlay", "/root/overlay-containers"] {
            umount2(directory + mount, CInt(MNT_DETACH))
        }
        _ = eventually(within: 10) { Leaks.descendants().isEmpty }
    }

    private var store: [String] {
        ["--root", directory + "/root", "--runroot", directory + "/run", "--storage-driver", "overlay"]
    }

    private var program: [String] {
        ["podman"] + store + [
            "--tmpdir", directory + "/tmp", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime",
            Build.binary,
        ]
    }

    /// A command of podman, not waited for.
    func start(_ arguments: [String], stdin: Input = .null) throws -> Running {
        try clients.start(program + arguments, stdin: stdin)
    }

    /// A command of podman on a person's terminal, not waited for.
    func start(_ arguments: [String], on terminal: OuterTerminal) throws -> Running {
        try clients.start(program + arguments, on: terminal)
    }

    func podman(_ arguments: String...) throws -> Outcome { try start(arguments).finish() }

    /// `podman run` of a shell's script, without a network.
    func run(_ options: String..., command: String) throws -> Outcome {
        try start(["run", "--network", "none"] + options + [Self.image, "sh", "-c", command]).finish()
    }

    func inspect(_ container: String, _ format: String) throws -> String {
        try podman("inspect", container, "--format", format).out
    }

    func buildah(_ arguments: [String], input: String? = nil) throws -> Outcome {
        let running = try clients.start(["buildah"] + store + arguments, stdin: input == nil ? .null : .pipe)
        if let input {
            running.write(input)
            running.closeInput()
        }
        return try running.finish()
    }
}

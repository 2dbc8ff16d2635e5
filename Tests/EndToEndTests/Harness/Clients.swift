import Glibc
import JSON
import LinuxSys
import Testing

/// Clients that we did not write, with directories and sockets of their own, and an image made of busybox.
struct Clients {
    static let image = "docker.io/library/kvm-test:latest"

    /// Why the client tests can't run here; nil: they can.
    static func obstacle(_ programs: String...) -> String? {
        let missing = programs.filter { find($0) == nil }
        return missing.isEmpty ? nil : "\(missing.joined(separator: ", ")) not installed"
    }

    static func find(_ program: String) -> String? {
        ["/usr/bin/", "/usr/sbin/", "/usr/local/bin/"].map { $0 + program }.first(where: File.isExecutable)
    }

    let directory: String
    private let environment: [String]

    init(_ directory: String, environment: [String] = []) throws {
        self.directory = directory
        self.environment = environment
        try File.makeDirectories(directory, mode: 0o700)
    }

    /// A command, not waited for.
    func start(_ command: [String], stdin: Input = .null) throws -> Running {
        try Running("/usr/bin/env", ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + environment + command, stdin: stdin)
    }

    /// A command as a person starts it: in a session of the terminal, which is its stdin, stdout and stderr.
    func start(_ command: [String], on terminal: OuterTerminal) throws -> Running {
        try Running(
            "/usr/bin/setsid",
            ["--ctty", "/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + environment + command,
            stdin: .descriptor(terminal.slave.raw), stdout: .descriptor(terminal.slave.raw),
            stderr: .descriptor(terminal.slave.raw))
    }

    func run(_ command: String..., input: String? = nil) throws -> Outcome {
        let running = try start(command, stdin: input == nil ? .null : .pipe)
        if let input {
            running.write(input)
            running.closeInput()
        }
        return try running.finish()
    }

    /// The image as an archive that containerd imports (`oci`) or that Docker and podman load (`docker`).
    func makeImage(_ form: String) throws -> String {
        let layout = directory + "/layout"
        let bundle = directory + "/unpacked"
        func step(_ command: String...) throws {
            let outcome = try start(command).finish()
            guard outcome.code == 0 else { throw Trouble("\(command.joined(separator: " ")): \(outcome.err)") }
        }
        try step("umoci", "init", "--layout", layout)
        try step("umoci", "new", "--image", layout + ":t")
        try step("umoci", "unpack", "--image", layout + ":t", bundle)
        rmdir(bundle + "/rootfs")
        let made = try Bundle(at: directory + "/made", script: "true")
        try step("cp", "-a", made.rootfs, bundle + "/rootfs")
        try step("umoci", "repack", "--image", layout + ":t", bundle)
        try step("umoci", "config", "--image", layout + ":t", "--config.cmd", "sh", "--config.env", "PATH=/bin")
        let archive = "\(directory)/\(form).tar"
        try step("skopeo", "copy", "oci:\(layout):t", "\(form)-archive:\(archive):\(Self.image)")
        return archive
    }

    /// A daemon that is ended with `body`.
    func withDaemon<Value>(
        _ command: [String], isReady: () throws -> Bool, _ body: () throws -> Value
    ) throws -> Value {
        let daemon = try start(command)
        defer {
            daemon.signal(SIGTERM)
            if (try? daemon.finish(readingToTheEnd: false, until: Deadline(seconds: 20))) == nil { daemon.kill() }
        }
        guard try eventually(within: 60, { try !daemon.isRunning || isReady() }), try isReady() else {
            throw Trouble("\(command[0]) did not start: \(daemon.err.suffix(500))")
        }
        return try body()
    }
}

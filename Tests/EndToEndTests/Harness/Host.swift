import Glibc
import JSON
import LinuxSys
import Testing

/// A place of its own for a test: a directory, a root for the state of containers, a log. `Host.use` makes it, and sees
/// to it that nothing is left when the test is over.
final class Host {
    let directory: String
    let root: String
    let log: String
    /// A name that no other test has.
    let id: String
    /// Options for every command, before its name.
    var globals: [String]
    private var started: [Running] = []
    private var bundles = 0
    nonisolated(unsafe) private static var number = 0

    private init() throws {
        try Leaks.adoption.get()
        directory = try Files.makeTemporary()
        root = directory + "/root"
        log = directory + "/log"
        Self.number += 1
        id = "e2e-\(getpid())-\(Self.number)"
        // Warnings (no KVM here) go to the log: stderr is the container's.
        globals = ["--root", root, "--log", log]
        if FileBackend.isVirtiofsd { try configure("") }
    }

    /// Runs `body` with a place of its own, then looks for what is left of it.
    static func use<Value>(
        sourceLocation: SourceLocation = #_sourceLocation, _ body: (Host) throws -> Value
    ) throws -> Value {
        let host = try Host()
        defer { host.leave(sourceLocation) }
        return try body(host)
    }

    private func leave(_ sourceLocation: SourceLocation) {
        // One that left its container behind has written its last, and may not have been seen to end.
        _ = eventually(within: 2) {
            for running in started where running.isRunning { try? running.look() }
            return !started.contains { $0.isRunning }
        }
        for running in started where running.isRunning {
            Issue.record(
                "a command of the test still runs: \(Leaks.command(of: running.pid))", sourceLocation: sourceLocation)
            running.kill()
        }
        // The killed are gone when the kernel has taken them apart, which may be a moment later.
        if !isClean(within: 2) {
            let found = Leaks.find(root: root, directory: directory)
            Issue.record("left behind: \(found)", sourceLocation: sourceLocation)
            for process in found.processes { kill(process, SIGKILL) }
            _ = eventually(within: 5) { Leaks.descendants().isEmpty }
        }
        Files.removeTree(directory)
    }

    /// Whether nothing is left of any container: no process, mount, socket or directory.
    func isClean(within seconds: Double) -> Bool {
        eventually(within: seconds) { Leaks.find(root: root, directory: directory).isEmpty }
    }

    // MARK: Bundles and commands

    func bundle(
        _ script: String? = nil, terminal: Bool = false, _ edit: (inout JSONValue) -> Void = { _ in }
    ) throws -> Bundle {
        bundles += 1
        return try Bundle(at: "\(directory)/bundle\(bundles)", script: script, terminal: terminal, edit: edit)
    }

    func start(
        _ arguments: [String], stdin: Input = .null, stdout: Sink = .collected, stderr: Sink = .collected,
        handing more: [CInt: CInt] = [:]
    ) throws -> Running {
        let running = try Running(
            Build.binary, globals + arguments, stdin: stdin, stdout: stdout, stderr: stderr, handing: more)
        started.append(running)
        return running
    }

    /// A command as a person starts it: in a session of the terminal, which is its stdin and stdout.
    func start(_ arguments: [String], on terminal: OuterTerminal) throws -> Running {
        let running = try Running(
            "/usr/bin/setsid", ["--ctty", Build.binary] + globals + arguments,
            stdin: .descriptor(terminal.slave.raw), stdout: .descriptor(terminal.slave.raw))
        started.append(running)
        return running
    }

    /// A command that ends by itself, soon. `readingToTheEnd` is for those that leave nobody with their stdout.
    func command(_ arguments: String..., readingToTheEnd: Bool = true) throws -> Outcome {
        try start(arguments).finish(readingToTheEnd: readingToTheEnd)
    }

    /// `run` of a bundle in the foreground, not waited for.
    func starting(
        _ bundle: Bundle, _ options: [String] = [], id: String? = nil, stdin: Input = .null,
        stdout: Sink = .collected, stderr: Sink = .collected
    ) throws -> Running {
        try start(
            ["run", "--bundle", bundle.path] + options + [id ?? self.id], stdin: stdin, stdout: stdout, stderr: stderr)
    }

    /// `run` of a bundle in the foreground, to its end.
    func run(_ bundle: Bundle, _ options: [String] = [], stdin: Input = .null) throws -> Outcome {
        try starting(bundle, options, stdin: stdin).finish()
    }

    /// `run` of a shell's script in the default bundle, to its end.
    func run(
        _ script: String, stdin: Input = .null, _ edit: (inout JSONValue) -> Void = { _ in }
    ) throws -> Outcome {
        try run(try bundle(script, edit), stdin: stdin)
    }

    /// What a shell's script says in a container that has a configuration of its own, on a host for it alone.
    static func lines(
        _ script: String, sourceLocation: SourceLocation = #_sourceLocation, _ edit: (inout JSONValue) -> Void
    ) throws -> [String] {
        try use(sourceLocation: sourceLocation) { host in
            let outcome = try host.run(script, edit)
            #expect(outcome.code == 0, "\(outcome.err)", sourceLocation: sourceLocation)
            return outcome.lines
        }
    }

    /// Uses a configuration file for the commands to come.
    func configure(_ text: String) throws {
        try Files.write(directory + "/config.toml", FileBackend.selecting(in: text))
        globals += ["--config", directory + "/config.toml"]
    }

    // MARK: State

    /// `state` of a container; nil when there is none.
    func state(_ id: String? = nil) throws -> JSONValue? {
        let outcome = try command("state", id ?? self.id)
        return outcome.code == 0 ? try JSONValue.parse(outcome.stdout) : nil
    }

    func status(_ id: String? = nil) throws -> String? { try state(id)?["status"]?.string }

    /// The machine's processes by name, and "supervisor".
    func processes(_ id: String? = nil) throws -> [String: pid_t] {
        let record = try JSONValue.parse(try File.read("\(root)/\(id ?? self.id)/state.json", limit: 1 << 20))
        var processes: [String: pid_t] = [:]
        if case .object(let members)? = record["processes"] {
            for member in members { processes[member.key] = member.value.integer.map { pid_t($0) } }
        }
        processes["supervisor"] = record.at("supervisor.pid")?.integer.map { pid_t($0) }
        processes["stand-in"] = record["pid"]?.integer.map { pid_t($0) }
        return processes
    }
}

/// Who serves files: KVM_RUNTIME_TEST_FS=virtiofsd puts Debian's in the place of ours, so that a difference is known to be
/// ours.
enum FileBackend {
    static let isVirtiofsd = getenv("KVM_RUNTIME_TEST_FS").map { String(cString: $0) == "virtiofsd" } ?? false
    static let reason: Comment = "virtiofsd does not do that (KVM_RUNTIME_TEST_FS)"

    /// The configuration, with the choice in it.
    static func selecting(in text: String) -> String {
        guard isVirtiofsd, !text.contains("virtiofsd") else { return text }
        let line = "virtiofsd = \"/usr/lib/qemu/virtiofsd\"\n"
        guard text.hasPrefix("[paths]\n") else { return "[paths]\n" + line + text }
        return "[paths]\n" + line + text.dropFirst("[paths]\n".count)
    }
}

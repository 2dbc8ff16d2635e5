import Glibc
import JSON
import LinuxSys
import OCISpec
import Spawn

/// Runs the hooks of a configuration that belong on the host (config.md, "POSIX-platform Hooks").
///
/// prestart and createRuntime run while the guest boots, poststart after the program was started, poststop after the
/// container was deleted. createContainer hooks are programs of the host too, and run in the namespaces that the container
/// has there: its stand-in's. startContainer hooks are programs of the container, and run in the guest.
struct HookRunner {
    let hooks: Hooks
    /// The state that each hook reads.
    let state: State

    /// Bytes of a hook's output that an error may quote.
    private static let quoted = 2000

    init?(_ spec: Spec, state: State) {
        guard let hooks = spec.hooks, hooks.all.contains(where: { !$0.hooks.isEmpty }) else { return nil }
        self.hooks = hooks
        self.state = state
    }

    /// Runs those of one kind, in order.
    /// - Parameter process: in whose namespaces.
    /// - Throws: what the first that fails failed at; those behind it are not run.
    func run(
        _ kind: KeyPath<Hooks, [Hook]> & Sendable, _ name: String, in process: pid_t? = nil
    ) throws(RuntimeError) {
        for (index, hook) in hooks[keyPath: kind].enumerated() {
            try run(hook, "\(name) hook #\(index) (\(hook.path))", in: process)
        }
    }

    /// Runs them all, whatever comes of it; failures are warnings.
    func runAll(_ kind: KeyPath<Hooks, [Hook]> & Sendable, _ name: String, log: Log) {
        for (index, hook) in hooks[keyPath: kind].enumerated() {
            do throws(RuntimeError) { try run(hook, "\(name) hook #\(index) (\(hook.path))") } catch {
                log.warning(error.description)
            }
        }
    }

    private func run(_ hook: Hook, _ name: String, in place: pid_t? = nil) throws(RuntimeError) {
        let output: SharedDescriptor
        let process: ChildProcess
        do {
            let input = SharedDescriptor(try MemoryFile.make("state", contents: state.json.bytes()))
            output = SharedDescriptor(try MemoryFile.make("output", contents: []))
            var program = Program(
                path: hook.path, arguments: Array(hook.args.dropFirst()), environment: hook.env,
                descriptors: [0: input.raw, 1: output.raw, 2: output.raw])
            program.name = hook.args.first
            program.directory = state.bundle
            program.namespacesOf = place
            process = try program.start()
        } catch {
            throw RuntimeError("error running \(name): \(error)")
        }
        var waiting = pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)
        // poll(2) takes 24 days at most, in milliseconds.
        let patience = hook.timeout.map { Int32(min($0, 2_000_000)) * 1000 } ?? -1
        let inTime = poll(&waiting, 1, patience) != 0
        if !inTime { process.send(SIGKILL) }
        let status: ExitStatus
        do throws(Errno) { status = try process.wait() } catch { throw RuntimeError("error running \(name): \(error)") }
        guard inTime else {
            throw RuntimeError("error running \(name): it ran past its timeout of \(hook.timeout ?? 0) s")
        }
        guard status != .exited(code: 0) else { return }
        let said = (try? MemoryFile.contents(of: output.descriptor, limit: 1 << 20)) ?? []
        let words = String(decoding: said.prefix(Self.quoted), as: UTF8.self)
        throw RuntimeError("error running \(name): it \(status.words)" + (words.isEmpty ? "" : "; output: \(words)"))
    }
}

import Glibc
import JSON
import LinuxSys
import OCISpec
import StateStore

/// `start`: runs the program of a created container.
public enum Start {
    public static func run(_ context: RuntimeContext, id text: String) throws(RuntimeError) {
        let (id, record) = try context.record(text)
        switch record.currentStatus {
        case .created:
            try Ask.supervisor(of: id, in: context.store, .start)
            try runPoststart(id, record, context)
        case .stopped: throw RuntimeError("cannot start a container that has stopped")
        case .paused: throw RuntimeError("cannot start a container in the paused state")
        case .creating, .running: throw RuntimeError("cannot start an already running container")
        }
    }
}

extension Start {
    /// A hook that fails ends the container (runtime.md, "Lifecycle").
    private static func runPoststart(
        _ id: ContainerID, _ record: ContainerRecord, _ context: RuntimeContext
    ) throws(RuntimeError) {
        guard let hooks = context.hooks(of: id, record, .running) else { return }
        do throws(RuntimeError) { try hooks.run(\.poststart, "poststart") } catch {
            _ = try? Ask.supervisor(of: id, in: context.store, .signal(SIGKILL, all: true))
            throw error
        }
    }
}

extension RuntimeContext {
    /// The hooks of a container that is there; nil if it has none.
    func hooks(of id: ContainerID, _ record: ContainerRecord, _ status: State.Status) -> HookRunner? {
        guard let bytes = try? store.spec(of: id), let value = try? JSONValue.parse(bytes),
            let spec = try? Spec(json: value)
        else { return nil }
        return HookRunner(
            spec,
            state: State(
                ociVersion: record.ociVersion, id: id.text, status: status,
                pid: status == .stopped ? 0 : Int(record.pid), bundle: record.bundle,
                annotations: record.annotations))
    }
}

/// `kill`: sends a signal to a container's init, or to all of its processes.
public enum Kill {
    public static func run(
        _ context: RuntimeContext, id text: String, signal word: String, all: Bool
    ) throws(RuntimeError) {
        let (id, record) = try context.record(text)
        let signal = try number(word)
        switch record.currentStatus {
        case .created, .running, .paused:
            // As kill(2) and runc have it, 0 asks whether there is somebody to get signals.
            if signal == 0 { return }
            guard (1...64).contains(signal) else { throw RuntimeError("unable to signal init: invalid argument") }
            do throws(RuntimeError) {
                try Ask.supervisor(of: id, in: context.store, .signal(CInt(signal), all: all))
            } catch {
                // It may have ended while it was asked.
                guard hasEnded(id, context) || error.description == ended else { throw error }
                try tellOfEnd(all)
            }
        case .creating, .stopped: try tellOfEnd(all)
        }
    }

    private static let ended = "container not running"

    /// `kill --all` of a container that has ended is how containerd makes sure; runc lets it pass.
    private static func tellOfEnd(_ all: Bool) throws(RuntimeError) {
        if !all { throw RuntimeError(ended) }
    }

    private static func hasEnded(_ id: ContainerID, _ context: RuntimeContext) -> Bool {
        guard let record = try? context.store.record(of: id) else { return true }
        return record.currentStatus == .stopped
    }

    /// A word as runc reads it: a decimal number, whatever it is; a name; nothing is SIGTERM.
    private static func number(_ word: String) throws(RuntimeError) -> Int {
        if word.isEmpty { return Int(SIGTERM) }
        if let number = Int(word) { return number }
        guard let signal = Signals.number(of: word) else {
            throw RuntimeError("unknown signal \(word.debugDescription)")
        }
        return Int(signal)
    }
}

/// `delete`: removes what is left of a container.
public enum Delete {
    /// Milliseconds that a supervisor has to end its guest before it is killed.
    private static let patience: Int32 = 3000

    public static func run(_ context: RuntimeContext, id text: String, force: Bool) throws(RuntimeError) {
        let id = try RuntimeContext.containerID(text)
        let record: ContainerRecord
        do throws(StateError) { record = try context.store.record(of: id) } catch {
            guard force else { throw RuntimeError("\(error)") }
            // Whatever is there without a readable state is no running container's: its supervisor writes it first.
            return try remove(id, context)
        }
        let status = record.currentStatus
        if status != .stopped, !force {
            throw RuntimeError("cannot delete container \(id) that is not stopped: \(status.rawValue)")
        }
        end(record, id, context)
        let hooks = context.hooks(of: id, record, .stopped)
        try remove(id, context)
        hooks?.runAll(\.poststop, "poststop", log: context.log)
    }

    /// Ends the supervisor: by asking, then by force. Its machine dies with it.
    private static func end(_ record: ContainerRecord, _ id: ContainerID, _ context: RuntimeContext) {
        let supervisor = record.supervisor
        guard supervisor.lives, let process = try? ProcessDescriptor(pid: supervisor.pid),
            // The number may have been used again between the two looks.
            Processes.startTime(of: supervisor.pid) == supervisor.startTime
        else { return }
        _ = try? Ask.supervisor(of: id, in: context.store, .destroy)
        for _ in 0..<patience / 20 {
            if process.waitForEnd(milliseconds: 20) { return }
            // Other containers are in the guest; it is theirs from now on.
            if let now = try? context.store.record(of: id), !now.supervisor.lives { return }
        }
        try? process.send(SIGKILL)
        _ = process.waitForEnd(milliseconds: patience)
    }

    private static func remove(_ id: ContainerID, _ context: RuntimeContext) throws(RuntimeError) {
        // With it whatever of the sandbox should still be there.
        if let refusal = HostCgroup.of(id, in: context.store).remove(milliseconds: 2000) {
            context.log.warning("\(refusal)")
        }
        do throws(StateError) { try context.store.remove(id) } catch { throw RuntimeError("\(error)") }
    }
}

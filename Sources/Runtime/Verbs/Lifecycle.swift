import Glibc
import LinuxSys
import OCISpec
import StateStore

/// `start`: runs the program of a created container.
public enum Start {
    public static func run(_ context: RuntimeContext, id text: String) throws(RuntimeError) {
        let (id, record) = try context.record(text)
        switch record.currentStatus {
        case .created: try Ask.supervisor(of: id, in: context.store, .start)
        case .stopped: throw RuntimeError("cannot start a container that has stopped")
        case .creating, .running, .paused: throw RuntimeError("cannot start an already running container")
        }
    }
}

/// `kill`: sends a signal to a container's init, or to all of its processes.
public enum Kill {
    public static func run(
        _ context: RuntimeContext, id text: String, signal word: String, all: Bool
    ) throws(RuntimeError) {
        let (id, record) = try context.record(text)
        guard let signal = Signals.number(of: word) else {
            throw RuntimeError("unknown signal \(word.debugDescription)")
        }
        switch record.currentStatus {
        case .created, .running, .paused:
            try Ask.supervisor(of: id, in: context.store, .signal(signal, all: all))
        case .creating, .stopped:
            // `kill --all` of a container that has ended is how containerd makes sure; runc lets it pass.
            if !all { throw RuntimeError("container not running") }
        }
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
        try remove(id, context)
    }

    /// Ends the supervisor: by asking, then by force. Its machine dies with it.
    private static func end(_ record: ContainerRecord, _ id: ContainerID, _ context: RuntimeContext) {
        let supervisor = record.supervisor
        guard supervisor.lives, let process = try? ProcessDescriptor(pid: supervisor.pid),
            // The number may have been used again between the two looks.
            Processes.startTime(of: supervisor.pid) == supervisor.startTime
        else { return }
        _ = try? Ask.supervisor(of: id, in: context.store, .destroy)
        if !process.waitForEnd(milliseconds: patience) {
            try? process.send(SIGKILL)
            _ = process.waitForEnd(milliseconds: patience)
        }
    }

    private static func remove(_ id: ContainerID, _ context: RuntimeContext) throws(RuntimeError) {
        do throws(StateError) { try context.store.remove(id) } catch { throw RuntimeError("\(error)") }
    }
}

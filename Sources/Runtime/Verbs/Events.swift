import Glibc
import JSON
import LinuxSys
import OCISpec
import StateStore

/// `events`: what happens to a container, and what it uses, as JSON lines in runc's form.
public enum Events {
    /// Only of files that a guest has.
    static let files = [
        "cpu.stat", "memory.current", "memory.max", "memory.peak", "memory.stat", "memory.swap.current",
        "memory.swap.max", "memory.events", "pids.current", "pids.max", "io.stat",
    ]

    public static func run(
        _ context: RuntimeContext, id text: String, stats: Bool, interval: Int
    ) throws(RuntimeError) {
        guard interval > 0 else { throw RuntimeError("duration interval must be greater than 0") }
        let (id, record) = try context.record(text)
        switch record.currentStatus {
        case .running, .paused, .created: break
        case .stopped, .creating: throw RuntimeError("container with id \(id) is not running")
        }
        if stats { return show(try statistics(of: id, context)) }
        do {
            try follow(id, context, interval: interval)
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("events of \(id): \(error)")
        }
    }

    private static func follow(_ id: ContainerID, _ context: RuntimeContext, interval: Int) throws {
        let directory = try FileDescriptor.directory(context.store.directory(of: id))
        let channel = ControlChannel(try Sockets.connect(to: ControlServer.name, in: directory, .packets))
        channel.send(ControlRequest.events.json)
        show(try statistics(of: id, context))
        var next = Clock.monotonicNanoseconds() + UInt64(interval) * 1_000_000
        while true {
            let now = Clock.monotonicNanoseconds()
            var waiting = pollfd(fd: channel.socket.raw, events: Int16(POLLIN), revents: 0)
            let left = now >= next ? 0 : Int32(clamping: (next - now) / 1_000_000 + 1)
            if poll(&waiting, 1, left) > 0 {
                // The end of the supervisor is the end of the events.
                guard let message = try channel.receive() else { return }
                if case .value(let value) = try ControlEvent(decoding: message), value["type"] == "oom" {
                    show(["type": "oom", "id": .string(id.text)])
                }
            } else {
                // A container that has just ended has no more statistics.
                guard let statistics = try? statistics(of: id, context) else { continue }
                show(statistics)
                next = Clock.monotonicNanoseconds() + UInt64(interval) * 1_000_000
            }
        }
    }

    private static func show(_ event: JSONValue) { Output.print(event.text() + "\n") }

    private static func statistics(of id: ContainerID, _ context: RuntimeContext) throws(RuntimeError) -> JSONValue {
        let values = try Ask.supervisor(of: id, in: context.store, .readCgroup(files))
        var texts: [String: String] = [:]
        for value in values {
            if case .string(let file)? = value["file"], case .string(let text)? = value["text"] { texts[file] = text }
        }
        return ["type": "stats", "id": .string(id.text), "data": CgroupStatistics(texts).json]
    }
}

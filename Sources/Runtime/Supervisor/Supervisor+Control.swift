import AgentProtocol
import JSON
import LinuxSys
import OCISpec
import StateStore

/// What others ask about the container, and change of it, while it runs.
extension Supervisor {
    typealias Answer = (ControlEvent) -> Void

    private static func refusal(_ message: String) -> ControlEvent {
        .failed(message: message, exitCode: 1, console: [])
    }

    func freeze(_ frozen: Bool, _ answer: @escaping Answer) {
        guard isServing, agent != nil else { return answer(Self.refusal("container not running")) }
        guard (record.status == .paused) != frozen else {
            return answer(Self.refusal(frozen ? "container not running" : "container not paused"))
        }
        // The agent gives a process that can't be frozen some time itself.
        ask(.freeze(container: id.text, frozen: frozen), within: 2 * Self.guestPatience) { [unowned self] result in
            if case .failure = result {
                // Should it come to do it after all, then this behind it.
                agent?.send(.freeze(container: id.text, frozen: !frozen)) { _ in }
            }
            guard case .success(.done) = result, phase < .exited else {
                return answer(ControlEvent(agentAnswer: result))
            }
            let thawed: State.Status = phase == .created ? .created : .running
            guard let error = updateRecord(frozen ? .paused : thawed), frozen else { return answer(.done) }
            // Nobody would know that it is paused, and so nobody would have it go on.
            revertRecord(to: thawed)
            agent?.send(.freeze(container: id.text, frozen: false)) { _ in answer(Self.refusal("\(error)")) }
        }
    }

    func update(_ settings: [CgroupSetting], _ answer: @escaping Answer) {
        guard isServing, agent != nil else { return answer(Self.refusal("container not running")) }
        ask(.update(container: id.text, settings: settings)) { answer(ControlEvent(agentAnswer: $0)) }
    }

    /// Some processes a message: a message has a limit.
    func listProcesses(_ answer: @escaping Answer) {
        guard isServing, agent != nil else { return answer(Self.refusal("container not running")) }
        ask(.listProcesses(container: id.text)) { [unowned self] result in
            guard case .success(.processes(let entries)) = result else {
                return answer(ControlEvent(agentAnswer: result))
            }
            // What the times in /proc are measured from, in ticks of 10 ms.
            if let entered = guestEntered {
                answer(.value(["uptime": JSONValue((Clock.monotonicNanoseconds() - entered) / 10_000_000)]))
            }
            for part in ControlChannel.parts(entries.map(\.json)) { answer(.value(.array(part))) }
            answer(.done)
        }
    }

    func readCgroup(_ files: [String], _ answer: @escaping Answer) {
        guard isServing, agent != nil else { return answer(Self.refusal("container not running")) }
        ask(.readCgroup(container: id.text, files: files)) { result in
            guard case .success(.contents(let contents)) = result else {
                return answer(ControlEvent(agentAnswer: result))
            }
            for file in contents {
                guard let bytes = file.bytes else { continue }
                let text = String(decoding: bytes.prefix(16 << 10), as: UTF8.self)
                answer(.value(["file": .string(file.file), "text": .string(text)]))
            }
            answer(.done)
        }
    }

    /// The kernel of the guest has killed a process of the container for want of memory.
    func tellOfMemory(_ count: UInt64) {
        for listener in listeners { listener.send(.value(["type": "oom", "count": JSONValue(count)])) }
    }

    /// Why a container whose processes were killed ended as it did; nil if memory was enough. Without a limit of its own
    /// it is the guest's memory that was used up.
    var memoryWarning: String? {
        guard exit?.oomKilled == true else { return nil }
        let isLimited = spec.linux?.resources?.memory?.limit.map { $0 > 0 } ?? false
        return "container \(id) ran out of memory: the guest's kernel killed a process of it, "
            + (isLimited ? "at the container's memory limit" : "with all of the guest's \(record.memoryMiB) MiB in use")
    }
}

extension ProcessEntry {
    fileprivate var json: JSONValue {
        let words = commandLine.prefix(1000).map { $0 == 0 ? UInt8(ascii: " ") : $0 }
        return [
            "pid": JSONValue(pid), "uid": JSONValue(uid),
            "stat": .string(PrintableText.line(String(decoding: stat.prefix(500), as: UTF8.self))),
            "commandLine": .string(PrintableText.line(String(decoding: words, as: UTF8.self))),
        ]
    }
}

import AgentProtocol
import Glibc
import LinuxSys

/// Requests that a guest answers at once, if it is able to: who asks is not kept waiting by one that is not.
extension Supervisor {
    /// Milliseconds, for a guest that has a processor to itself: emulated, and on a busy host, it may need some seconds.
    static let guestPatience: UInt64 = 10_000
    /// For a signal that nobody can miss: who sends it wants an end.
    private static let killPatience: UInt64 = 6000

    /// - Parameter late: told of an answer that comes when `answer` has been told that there is none.
    func ask(
        _ message: HostMessage, within milliseconds: UInt64 = guestPatience,
        late: @escaping AgentLink.Answer = { _ in }, answer: @escaping AgentLink.Answer
    ) {
        let wait = Wait(answer)
        wait.timer = loop.after(milliseconds: milliseconds * slowness) { [unowned self] in
            wait.end()?(.failure(silence))
        }
        agent?.send(message) { [loop] result in
            guard let waiting = wait.end() else { return late(result) }
            if let timer = wait.timer { loop.cancel(timer) }
            waiting(result)
        }
    }

    /// Kills the container's init, or all of its processes; a guest that does not do that is ended, which does.
    func sendKill(_ signal: SendSignal, _ answer: @escaping (ControlEvent) -> Void) {
        ask(.signal(signal), within: Self.killPatience) { [unowned self] result in
            guard case .failure(silence) = result else {
                if case .success(.done) = result { awaitKilled() }
                return answer(ControlEvent(agentAnswer: result))
            }
            answer(.done)
            fail(RuntimeError("\(silence), and was ended", exitCode: 128 + SIGKILL))
        }
    }

    private var silence: RuntimeError { RuntimeError("the guest of \(id) does not answer") }

    /// How many times longer than others the guest takes, where its part of a processor is a small one.
    private var slowness: UInt64 {
        guard let cpu = spec.linux?.resources?.cpu, let quota = cpu.quota, quota > 0 else { return 1 }
        return min(20, max(1, UInt64(clamping: cpu.period ?? 100_000) / UInt64(quota)))
    }

    /// Somebody who waits for an answer.
    private final class Wait {
        private var answer: AgentLink.Answer?
        var timer: EventLoop.Token?

        init(_ answer: @escaping AgentLink.Answer) { self.answer = answer }

        /// Whom to tell; nil if that has been done.
        func end() -> AgentLink.Answer? {
            defer { answer = nil }
            return answer
        }
    }
}

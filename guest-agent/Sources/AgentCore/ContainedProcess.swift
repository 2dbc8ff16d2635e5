import AgentProtocol
import CLinux
import Jail
import LinuxSys

/// A process that the host knows, from its making to its end: a container's init, or what was exec'ed beside it.
final class ContainedProcess {
    enum Phase {
        /// The child works on the plan, or streams are missing. Holds the request to answer.
        case making(request: UInt32)
        case created
        /// The child has been told to exec.
        case starting(request: UInt32)
        case running
        /// Its making has failed, and has been answered; only the child has to be reaped.
        case discarded
        /// It has ended, or was given up and ended.
        case ended
    }

    /// What it tells its container.
    struct Callbacks {
        var answer: (UInt32, GuestMessage) -> Void
        /// Its making has failed: whatever lives of it is to be killed.
        var discarded: () -> Void
        /// Some of its output has come to its end.
        var drained: () -> Void
    }

    let number: UInt32
    private(set) var pid: pid_t
    let channels: Channels
    private(set) var phase: Phase
    /// How it ended, once it has.
    private(set) var status: ExitStatus?
    /// Its program is executed as soon as it is made.
    private let startsAtOnce: Bool
    private let loop: EventLoop
    private let callbacks: Callbacks
    private var child: JailChild?
    private var childWatch: EventLoop.Token = 0
    private var rootfsMounted: UInt64?
    /// Ends with the making.
    private var hope: EventLoop.Token = 0

    init(
        _ number: UInt32, request: UInt32, child: JailChild, channels: Channels, startsAtOnce: Bool, loop: EventLoop,
        callbacks: Callbacks
    ) throws(Errno) {
        self.number = number
        self.channels = channels
        self.startsAtOnce = startsAtOnce
        self.loop = loop
        self.callbacks = callbacks
        self.child = child
        pid = child.pid
        phase = .making(request: request)
        channels.releaseEnds()
        channels.changed = { callbacks.drained() }
        childWatch = try loop.watch(child.raw, .readable) { [self] _ in hearChild() }
        hope = loop.after(milliseconds: 10_000) { [self] in loseHope() }
    }

    var isDiscarded: Bool { if case .discarded = phase { true } else { false } }

    // MARK: Making

    /// Takes a stream of the host; false if it isn't one of this process's.
    func attach(_ stream: UInt32, _ remote: SharedDescriptor) -> Bool {
        do throws(Errno) {
            guard try channels.attach(stream, remote) else { return false }
            answerIfMade()
        } catch {
            discard(.guest("stdio stream \(stream): \(error)"))
        }
        return true
    }

    /// Reads all that the child has said so far.
    func hearChild() {
        do throws(Errno) {
            while let child, let event = try child.next() { try handle(event) }
        } catch {
            discard(.guest("the first words of process \(number): \(error)"))
        }
    }

    private func handle(_ event: JailChild.Event) throws(Errno) {
        switch (event, phase) {
        // Once, and by a helper that is to make another: what comes later is not to be taken for somebody else's process.
        case (.forked(let pid), .making) where self.pid == child?.pid: self.pid = pid
        case (.forked, _): break
        case (.terminal(let master), _): try channels.attach(terminal: master)
        case (.ready(let time), .making):
            rootfsMounted = time
            answerIfMade()
        case (.failed(let failure), .starting(let request)) where !startsAtOnce:
            // The process exists and ends by itself; its end is told as any other's.
            phase = .running
            forgetChild()
            callbacks.answer(request, .stepFailed(failure))
        case (.failed(let failure), _): discard(.stepFailed(failure))
        case (.closed, .starting(let request)):
            phase = .running
            forgetChild()
            callbacks.answer(request, startsAtOnce ? made : .done)
        case (.closed, .making): discard(.guest("process \(number) died while it was being made"))
        case (.closed, _): forgetChild()
        case (.ready, _): break
        }
    }

    private var made: GuestMessage {
        .created(Created(pid: UInt32(clamping: pid), rootfsMounted: rootfsMounted ?? 0))
    }

    private func answerIfMade() {
        guard case .making(let request) = phase, rootfsMounted != nil, channels.missing.isEmpty else { return }
        loop.cancel(hope)
        if startsAtOnce {
            if let failure = start(request) { discard(.failed(failure)) }
        } else {
            phase = .created
            callbacks.answer(request, made)
        }
    }

    private func loseHope() {
        guard case .making = phase else { return }
        let missing = channels.missing.map(String.init).joined(separator: ", ")
        let reason = missing.isEmpty ? "it took more than 10 s" : "the host did not open its streams (\(missing))"
        discard(.guest("making process \(number): \(reason)"))
    }

    /// Gives it up before it was started.
    private func discard(_ failure: GuestMessage) {
        switch phase {
        case .making(let request), .starting(let request): callbacks.answer(request, failure)
        default: break
        }
        phase = .discarded
        loop.cancel(hope)
        forgetChild()
        channels.close()
        callbacks.discarded()
    }

    private func forgetChild() {
        guard child != nil else { return }
        loop.unwatch(childWatch)
        child = nil
    }

    // MARK: Requests

    /// Lets the program run; the answer follows when it has been executed.
    func start(_ request: UInt32) -> Failure? {
        guard let child else { return Failure(kind: .state, message: "process \(number) has been started already") }
        do throws(Errno) {
            try child.proceed()
            phase = .starting(request: request)
            return nil
        } catch {
            return Failure(kind: .guest, message: "starting: \(error)")
        }
    }

    var isAlive: Bool {
        switch phase {
        case .ended, .discarded: false
        default: true
        }
    }

    func send(_ signal: CInt) throws(Errno) { _ = try once { kill(pid, signal) } }

    // MARK: The end

    /// It has been reaped.
    func ended(_ status: ExitStatus) {
        // What the child said last is still in the socket.
        hearChild()
        forgetChild()
        self.status = status
        if !isDiscarded { phase = .ended }
    }

    /// How it ended, for the host; nil: it was never made, which the host knows.
    func exit(of container: String, oomKilled: Bool) -> ProcessExit? {
        if isDiscarded { return nil }
        let name = ProcessName(container, number)
        switch status {
        case .exited(let code)?:
            return ProcessExit(
                process: name, signal: nil, code: UInt8(truncatingIfNeeded: code), oomKilled: oomKilled)
        case .signaled(let signal)?:
            return ProcessExit(
                process: name, signal: UInt8(truncatingIfNeeded: signal), code: 0, oomKilled: oomKilled)
        case nil: return nil
        }
    }
}

extension GuestMessage {
    /// The guest is at fault.
    static func guest(_ message: String) -> GuestMessage { .failed(Failure(kind: .guest, message: message)) }
}

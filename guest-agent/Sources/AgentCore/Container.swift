import AgentProtocol
import CLinux
import Cgroup
import Jail
import LinuxSys

/// One container, from its making to its end.
final class Container {
    enum Phase {
        /// The child works on the plan, or streams are missing. Holds the request to answer.
        case making(request: UInt32)
        case created
        /// The child has been told to exec.
        case starting(request: UInt32)
        case running
        /// Its making has failed, and has been answered; only the child has to be reaped.
        case discarded
        /// Its first process has ended.
        case ended
    }

    /// What a container tells the agent.
    struct Callbacks {
        var answer: (UInt32, GuestMessage) -> Void
        /// Everything is said and done; it has let go of all that it had.
        var gone: (ContainerExit?) -> Void
    }

    let id: String
    let pid: pid_t
    let channels: Channels
    private let loop: EventLoop
    private let cgroup: Cgroup
    private let plan: FlatPlan
    private let callbacks: Callbacks
    private var child: JailChild?
    private var childWatch: EventLoop.Token = 0
    private var rootfsMounted: UInt64?
    /// Ends with the making.
    private var hope: EventLoop.Token = 0
    private var phase: Phase
    private var exit: ContainerExit?
    private var recheck: EventLoop.Token = 0
    /// When its last process must be gone; monotonic nanoseconds.
    private var patience: UInt64 = 0

    init(
        _ request: UInt32, id: String, plan: FlatPlan, channels: Channels, cgroup: Cgroup, loop: EventLoop,
        callbacks: Callbacks
    ) throws(Errno) {
        self.id = id
        self.plan = plan
        self.channels = channels
        self.cgroup = cgroup
        self.loop = loop
        self.callbacks = callbacks
        let directory = try cgroup.directory()
        let child = try JailChild(
            plan, stdin: channels.ends[0]?.raw, stdout: channels.ends[1]?.raw, stderr: channels.ends[2]?.raw,
            cgroup: directory.raw)
        channels.releaseEnds()
        self.child = child
        pid = child.pid
        phase = .making(request: request)
        channels.changed = { [self] in finishIfDrained() }
        childWatch = try loop.watch(child.raw, .readable) { [self] _ in hearChild() }
        hope = loop.after(milliseconds: 10_000) { [self] in loseHope() }
    }

    // MARK: Making

    /// Takes a stream of the host; false if it isn't one of this container's.
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
    private func hearChild() {
        do throws(Errno) {
            while let child, let event = try child.next() { try handle(event) }
        } catch {
            discard(.guest("the container's first process: \(error)"))
        }
    }

    private func handle(_ event: JailChild.Event) throws(Errno) {
        switch (event, phase) {
        case (.terminal(let master), _): try channels.attach(terminal: master)
        case (.ready(let time), .making):
            rootfsMounted = time
            answerIfMade()
        case (.failed(let failure), .starting(let request)):
            // The process exists and ends by itself; its end is told as any other's.
            phase = .running
            forgetChild()
            callbacks.answer(request, .stepFailed(failure))
        case (.failed(let failure), _): discard(.stepFailed(failure))
        case (.closed, .starting(let request)):
            phase = .running
            forgetChild()
            callbacks.answer(request, .done)
        case (.closed, .making):
            discard(.guest("the container's first process died while it was being made"))
        case (.closed, _): forgetChild()
        case (.ready, _): break
        }
    }

    private func answerIfMade() {
        guard case .making(let request) = phase, let rootfsMounted, channels.missing.isEmpty else { return }
        phase = .created
        loop.cancel(hope)
        callbacks.answer(
            request, .created(Created(pid: UInt32(clamping: pid), rootfsMounted: rootfsMounted)))
    }

    private func loseHope() {
        guard case .making = phase else { return }
        let missing = channels.missing.map(String.init).joined(separator: ", ")
        let reason = missing.isEmpty ? "it took more than 10 s" : "the host did not open its streams (\(missing))"
        discard(.guest("creating the container: \(reason)"))
    }

    /// Gives the container up before it was started.
    private func discard(_ failure: GuestMessage) {
        if case .making(let request) = phase { callbacks.answer(request, failure) }
        phase = .discarded
        loop.cancel(hope)
        forgetChild()
        channels.close()
        killAll()
    }

    private func forgetChild() {
        guard child != nil else { return }
        loop.unwatch(childWatch)
        child = nil
    }

    // MARK: Requests

    /// Lets the program run; the answer follows when it has been executed.
    func start(_ request: UInt32) -> Failure? {
        guard case .created = phase, let child else {
            return Failure(kind: .state, message: "container \(id) has been started already")
        }
        do throws(Errno) {
            try child.proceed()
            phase = .starting(request: request)
            return nil
        } catch {
            return Failure(kind: .guest, message: "starting: \(error)")
        }
    }

    func send(_ signal: CInt, toAll: Bool) -> Failure? {
        if case .ended = phase { return Failure(kind: .state, message: "container \(id) is not running") }
        if case .discarded = phase { return Failure(kind: .state, message: "container \(id) is not running") }
        do throws(Errno) {
            if toAll, signal == SIGKILL {
                try cgroup.kill()
            } else if toAll {
                // Those that ended meanwhile need no signal.
                for process in cgroup.processes() { _ = kill(process, signal) }
            } else {
                _ = try once { kill(pid, signal) }
            }
            return nil
        } catch {
            return Failure(kind: .state, message: "signal \(signal): \(error.words)")
        }
    }

    // MARK: The end

    /// The first process has been reaped.
    func ended(_ status: ExitStatus) {
        // What the child said last is still in the socket.
        hearChild()
        forgetChild()
        if case .discarded = phase {} else { phase = .ended }
        exit =
            switch status {
            case .exited(let code):
                ContainerExit(container: id, signal: nil, code: UInt8(truncatingIfNeeded: code), oomKilled: false)
            case .signaled(let signal):
                ContainerExit(
                    container: id, signal: UInt8(truncatingIfNeeded: signal), code: 0, oomKilled: false)
            }
        patience = Clock.monotonicNanoseconds() &+ 10_000_000_000
        // The first process of a pid namespace is reaped after all others in it.
        if !plan.hasPIDNamespace { killAll() }
        waitForOthers()
    }

    /// A process of the guest has been reaped: perhaps it was the last of this container's.
    func otherReaped() {
        if exit != nil { waitForOthers() }
    }

    private func killAll() {
        do throws(Errno) { try cgroup.kill() } catch { _ = kill(pid, SIGKILL) }
    }

    /// With a pid namespace they are all gone when the first one is; without one, or when a process of the guest was
    /// moved in, it takes a moment.
    private func waitForOthers() {
        guard exit != nil, patience > 0 else { return }
        if cgroup.isPopulated, Clock.monotonicNanoseconds() < patience {
            loop.cancel(recheck)
            recheck = loop.after(milliseconds: 5) { [self] in waitForOthers() }
            return
        }
        patience = 0
        loop.cancel(recheck)
        exit?.oomKilled = cgroup.oomKilled
        channels.drain()
        finishIfDrained()
    }

    private func finishIfDrained() {
        guard let exit, patience == 0, channels.isDrained else { return }
        self.exit = nil
        channels.close()
        // The host may end the machine as soon as it knows; it needn't wait for the tidying up.
        sync()
        if case .discarded = phase { callbacks.gone(nil) } else { callbacks.gone(exit) }
        cgroup.remove()
        // With a mount namespace of its own its mounts went with it.
        if !plan.hasMountNamespace { umount2(plan.root, CInt(MNT_DETACH)) }
        rmdir(plan.root)
    }
}

extension GuestMessage {
    /// The guest is at fault.
    fileprivate static func guest(_ message: String) -> GuestMessage {
        .failed(Failure(kind: .guest, message: message))
    }
}

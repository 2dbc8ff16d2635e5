import AgentProtocol
import Glibc
import JSON
import LinuxSys

/// What others ask of a sandbox: by signal, over the launcher's channel, over the control socket.
extension Supervisor {
    func takeSignals() {
        while let delivery = try? signals.next() { take(delivery.signal) }
    }

    /// One that this process got, or the container's stand-in.
    func take(_ signal: CInt) {
        if signal == SIGWINCH { resizeTerminal() } else { forward(signal) }
    }

    /// A signal that this process got is meant for the container; before that runs, it is meant for us.
    private func forward(_ signal: CInt) {
        if isServing {
            let sent = InitSignals.translate(
                signal, for: spec.process, rootfs: self.request.rootfs)
            sentSignals.insert(UInt8(sent))
            agent?.send(.signal(SendSignal(process: ProcessName(id.text), signal: UInt8(sent), all: false))) { _ in }
        } else if phase < .created, [SIGTERM, SIGINT, SIGHUP, SIGQUIT].contains(signal) {
            fail(RuntimeError("interrupted by \(Signals.name(of: signal))", exitCode: 128 + signal))
        }
    }

    /// One that somebody asked for by `kill`.
    private func send(_ signal: Int32, all: Bool, _ answer: @escaping (ControlEvent) -> Void) {
        // To others it runs for as long as its output is not delivered. It ends when it is killed, and takes no notice of
        // anything else.
        if phase == .exited, record.status != .stopped {
            answer(.done)
            if signal == SIGKILL { giveUpOutput() }
            return
        }
        guard isServing, agent != nil else {
            return answer(.failed(message: "container not running", exitCode: 1, console: []))
        }
        let sent =
            all ? signal : InitSignals.translate(signal, for: spec.process, rootfs: request.rootfs)
        sentSignals.insert(UInt8(sent))
        let message = SendSignal(process: ProcessName(id.text), signal: UInt8(sent), all: all)
        if sent == SIGKILL { return sendKill(message, answer) }
        ask(.signal(message)) { answer(ControlEvent(agentAnswer: $0)) }
    }

    func takeLauncher(_ ready: ReadyEvents) {
        if ready.contains(.writable) { launcher.outgoing.flush() }
        guard ready != .writable else { return }
        switch launcher.take() {
        case .request(let request): handle(request) { [unowned self] in launcher.send($0) }
        case .nothing: break
        case .gone:
            if let launcherToken { loop.unwatch(launcherToken) }
            launcherToken = nil
            if request.followsLauncher { fail(RuntimeError("the command that ran the container has gone")) }
            // Who runs them is to tell of their end: without them there is no container.
            if request.waitsForHooks { fail(RuntimeError("the command that made the container has gone")) }
        }
    }

    /// Over the control socket.
    func handle(_ request: ControlRequest, _ caller: ControlCaller, _ descriptor: SharedDescriptor?) {
        switch request {
        case .exec(let process):
            caller.hasAsked = true
            exec(caller, plan: descriptor, process)
        case .join(let container, let cgroup): join(caller, container, cgroup, stream: descriptor)
        case .share(let tree): share(tree, for: caller)
        case .unshare(let name): unshare(name, for: caller)
        case .signal(let signal, _) where caller.hasAsked: forward(signal, to: caller)
        case .resize(let rows, let columns): resize(rows, columns, of: caller)
        case .events:
            listeners.append(caller)
            caller.gone = { [unowned self] in listeners.removeAll { $0 === caller } }
        default: handle(request) { caller.send($0) }
        }
    }

    func handle(_ request: ControlRequest, _ answer: @escaping (ControlEvent) -> Void) {
        switch request {
        case .start:
            guard phase == .created else {
                return answer(
                    .failed(message: "cannot start a container that is not created", exitCode: 1, console: []))
            }
            startWaiters.append(answer)
            start()
        case .hooksRan:
            self.request.waitsForHooks = false
            createContainerIfReady()
        case .signal(let signal, let all): send(signal, all: all, answer)
        case .freeze(let frozen): freeze(frozen, answer)
        case .update(let settings): update(settings, answer)
        case .processes: listProcesses(answer)
        case .standIns:
            let pids = [record.pid] + execs.values.compactMap(\.pid).sorted()
            for pid in pids { answer(.value(JSONValue(pid))) }
            answer(.done)
        case .readCgroup(let files): readCgroup(files, answer)
        case .exec, .resize, .events, .join, .share, .unshare:
            answer(.failed(message: "not on this connection", exitCode: 1, console: []))
        case .destroy:
            answer(.done)
            destroy()
        }
    }
}

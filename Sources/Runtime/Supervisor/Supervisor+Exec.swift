import AgentProtocol
import Glibc
import LinuxSys
import VMDriver

/// Processes beside the container's init. Who asked for one is connected for as long as it lives, has its stdio, and is
/// its stand-in on the host: what ends the one ends the other.
extension Supervisor {
    /// Milliseconds that those who have a process's output are given to take it before the machine ends.
    static let patience: UInt64 = 5000

    func exec(_ caller: ControlCaller, plan: SharedDescriptor?, _ asked: AskedProcess) {
        func refuse(_ message: String) { caller.send(.failed(message: message, exitCode: 255, console: [])) }
        guard isServing, agent != nil else { return refuse("cannot exec in a stopped container") }
        if record.status == .paused, !asked.ignorePaused {
            return refuse("cannot exec in a paused container (use --ignore-paused to override)")
        }
        guard let plan, let bytes = try? plan.descriptor.readAll(limit: WireLimit.plan), caller.process == nil else {
            return refuse("the process's plan did not arrive")
        }
        let number = freeProcessNumber()
        caller.process = number
        execs[number] = caller
        caller.gone = { [unowned self] in abandon(number) }
        let streams = StdioStreams(process: number)
        let stdio: Stdio =
            if let terminal = asked.terminal {
                .terminal(stream: streams.terminal, rows: terminal.rows, columns: terminal.columns)
            } else {
                .pipes(stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr)
            }
        caller.send(.process(number))
        let prefix = "\(treePrefix)fd-\(number)-"
        let process = ExecProcess(
            process: ProcessName(id.text, number), plan: bytes, stdio: stdio,
            passed: asked.passed.passed(streams, prefix), cgroup: asked.cgroup)
        let trees = asked.passed.trees(prefix, cache: request.volumeCache)
        give(trees[...], to: number, caller) { [unowned self] failure in
            guard let failure else { return send(process, caller) }
            forget(number)
            caller.process = nil
            refuse(failure)
        }
    }

    private func send(_ process: ExecProcess, _ caller: ControlCaller) {
        let number = process.process.number
        let late = { [unowned self] (_: Result<GuestMessage, RuntimeError>) in kill(number) }
        // Where it can't begin, for the container is paused, it is for the agent to give it up, and to say so.
        let patience = (record.status == .paused ? 2 : 1) * Self.guestPatience
        ask(.exec(process), within: patience, late: late) { [unowned self] answer in
            if case .success(.created) = answer { return caller.send(.done) }
            forget(number)
            caller.process = nil
            caller.send(ControlEvent(agentAnswer: answer))
        }
    }

    /// Gives the guest these, one after the other; `done` is told nil, or why it does not have one, and nothing if who asked
    /// has gone meanwhile.
    private func give(
        _ trees: ArraySlice<VMPlan.SharedTree>, to number: UInt32, _ caller: ControlCaller,
        done: @escaping (String?) -> Void
    ) {
        guard let tree = trees.first, let machine else { return done(nil) }
        machine.share(tree) { [weak self] error in
            guard let self else { return }
            guard execs[number] === caller else {
                if error == nil { machine.unshare(tree: tree.name) }
                return
            }
            if let error { return done("can't share \(tree.words) with the guest: \(error)") }
            caller.trees.append(tree)
            give(trees.dropFirst(), to: number, caller, done: done)
        }
    }

    private func forget(_ number: UInt32) {
        guard let caller = execs.removeValue(forKey: number) else { return }
        for tree in caller.trees { machine?.unshare(tree: tree.name) }
    }

    /// A number that no process has; in a guest of several containers each has numbers of its own.
    private func freeProcessNumber() -> UInt32 {
        repeat {
            lastProcess += 1
            if lastProcess >= firstProcess + SandboxMember.processes { lastProcess = firstProcess + 1 }
        } while execs[lastProcess] != nil
        return lastProcess
    }

    /// The stand-in has gone: killed, most likely, and what it stood in for follows.
    private func abandon(_ number: UInt32) {
        guard execs[number] != nil else { return }
        forget(number)
        if phase < .exited {
            kill(number)
        } else if execs.isEmpty, waitsForExecs {
            beDone()
        }
    }

    private func kill(_ number: UInt32) {
        let signal = SendSignal(process: ProcessName(id.text, number), signal: UInt8(SIGKILL), all: false)
        agent?.send(.signal(signal)) { _ in }
    }

    func execExited(_ exit: ProcessExit) {
        execs[exit.process.number]?.send(.exited(code: exit.shellCode))
    }

    /// When the init has ended, what other processes wrote is not to be lost with the machine.
    func endAfterExecs() {
        if execs.isEmpty { return beDone() }
        waitsForExecs = true
        loop.after(milliseconds: Self.patience) { [weak self] in self?.beDone() }
    }

    func beDone() {
        isDone = true
        endOrLinger()
    }

    func forward(_ signal: Int32, to caller: ControlCaller) {
        guard let number = caller.process else { return }
        let request = SendSignal(process: ProcessName(id.text, number), signal: UInt8(signal), all: false)
        agent?.send(.signal(request)) { _ in }
    }

    func resize(_ rows: UInt16, _ columns: UInt16, of caller: ControlCaller) {
        guard let number = caller.process else { return }
        agent?.send(
            .resize(ResizeTerminal(process: ProcessName(id.text, number), rows: rows, columns: columns))
        ) { _ in }
    }
}

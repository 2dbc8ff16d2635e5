import AgentProtocol
import LinuxSys

/// The container's stdio, and when it counts as stopped: not before its output is where it belongs.
extension Supervisor {
    func stdioEvent(_ event: ProcessStdio.Event) {
        switch event {
        case .firstByte: timeline.mark(.firstByte)
        case .delivered: if phase == .exited { outputDelivered() }
        case .failed(let error): fail(error)
        }
    }

    /// Nothing is left to wait for: the agent synced the file systems before it told of the end. Only now the container has
    /// stopped: a process of the host would still be writing until now, and who finds it stopped may delete it.
    func outputDelivered() {
        timeline.mark(.outputDelivered)
        recordStopped()
        endAfterExecs()
    }

    func recordStopped() {
        guard record.status != .stopped else { return }
        // What is removed in a moment anyway needn't be written down first.
        if request.removesAtExit { record.status = .stopped } else { updateRecord(.stopped) }
    }

    /// The init has been killed. The agent tells of the end when it has handed over all output: one that nobody takes is not to
    /// keep it, when it has had its time.
    func awaitKilled() {
        let taken = stdio?.bytesMoved
        loop.after(milliseconds: 2000) { [weak self] in
            guard let self, isServing else { return }
            // Who takes it slowly takes it.
            guard let stdio, stdio.isStuck, stdio.bytesMoved == taken else { return awaitKilled() }
            isOutputLost = true
            stdio.close()
        }
    }

    /// The init has ended by a signal of somebody's, who is not to wait for one that takes nothing of its output.
    func awaitReader() {
        let taken = stdio?.bytesMoved
        loop.after(milliseconds: Self.patience) { [weak self] in
            guard let self, let stdio, !stdio.isDelivered else { return }
            if stdio.bytesMoved == taken { giveUpOutput() } else { awaitReader() }
        }
    }

    /// What nobody has taken so far is lost.
    func giveUpOutput() {
        guard phase == .exited, !isDone else { return }
        recordStopped()
        beDone()
    }

    func resizeTerminal() {
        guard let size = stdio?.terminalSize, isServing else { return }
        agent?.send(.resize(ResizeTerminal(process: ProcessName(id.text), rows: size.rows, columns: size.columns))) {
            _ in
        }
    }
}

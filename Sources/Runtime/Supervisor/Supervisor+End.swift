import AgentProtocol
import Glibc
import JailCompiler
import LinuxSys
import OCISpec
import StateStore
import VMMWire

/// How a sandbox ends.
extension Supervisor {
    // MARK: The end

    /// Ends the sandbox because of `error`.
    func fail(_ error: RuntimeError) {
        guard phase < .ended else { return }
        if exit == nil, failure == nil { failure = error }
        end()
    }

    /// Ends the sandbox because somebody deletes the container: to those who wait for it, it was killed.
    func endDeleted() {
        markDeleted()
        end()
    }

    /// From now on that is why it ended, whatever is heard of the end first.
    func markDeleted() {
        guard phase < .ended, exit == nil, failure == nil else { return }
        isDeleted = true
        failure = RuntimeError("deleted", exitCode: 128 + SIGKILL)
    }

    /// Ends the sandbox because the guest is out of order: its last words belong to the error.
    func failGuest(_ description: String) {
        var error = RuntimeError(description)
        error.console = console.last
        fail(error)
    }

    func describe(_ failure: StepFailure) -> Failure {
        plan?.failure(failure) ?? Failure(kind: .guest, message: "step \(failure.step) failed without a plan")
    }

    func fail(_ refusal: Failure) {
        if refusal.kind == .guest { failGuest(refusal.message) } else { fail(RuntimeError(refusal)) }
    }

    func end() {
        guard phase < .ended else { return }
        phase = .ended
        loop.stop()
    }

    /// Leaves nothing behind, tells everyone, and gives the exit code.
    func finish() -> Int32 {
        phase = .ended
        machine?.kill()
        timeline.mark(.machineEnded)
        agent?.close()
        stdio?.close()
        stopListening()
        let code = exit?.shellCode ?? failure?.exitCode ?? 1
        if lingers {
            // All has been said; the directory may be another's by now.
            for place in [VsockSocketName.toGuest, ControlServer.name] { unlinkat(directory.descriptor.raw, place, 0) }
            return code
        }
        if request.removesAtExit || record.status == .creating {
            // The stand-in goes first here: the command that waits for it waits for this process too.
            standIn.exit(code)
            request.cgroup.leave()
            request.cgroup.remove(milliseconds: 500)
            try? store.remove(id)
        } else {
            record.exitCode = code
            updateRecord(.stopped)
            store.releaseRoom(of: id)
            server?.close()
            for name in [VsockSocketName.toGuest, "share"] {
                unlinkat(directory.descriptor.raw, name, name == "share" ? AT_REMOVEDIR : 0)
            }
        }
        if let failure { tell(failure) }
        let times = (machine?.processorTimes ?? []) + [("supervisor", Processes.ownProcessorTime)]
        launcher.send(
            .timeline(
                timeline.marks,
                processorTimes: Dictionary(times.map { ($0.name, $0.microseconds) }, uniquingKeysWith: max)))
        if let memoryWarning { launcher.send(.warning(memoryWarning)) }
        launcher.send(.exited(code: code))
        launcher.outgoing.drain(milliseconds: 2000)
        // The last word: whoever waits for the container finds all else done.
        standIn.exit(code)
        return code
    }

    private func tell(_ failure: RuntimeError) {
        // The code is the container's; a command that does not get to its end fails as any other does.
        let event = isDeleted ? ControlEvent(RuntimeError(failure.description)) : ControlEvent(failure)
        for waiter in startWaiters { waiter(event) }
        // Who runs it, and somebody deletes it, has an exit code and nothing to complain of.
        if !isDeleted || record.status == .creating { launcher.send(event) }
    }
}

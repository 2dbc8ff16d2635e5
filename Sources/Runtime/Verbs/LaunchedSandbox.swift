import Glibc
import JSON
import LinuxSys
import OCISpec
import Spawn
import StateStore

/// A supervisor that was just started.
struct LaunchedSandbox: ~Copyable {
    let id: ContainerID
    let process: ChildProcess
    /// The container's init, as the host sees it: a child of this process, as the supervisor is.
    let standIn: pid_t
    let channel: ControlChannel
    let hasTerminal: Bool
    let spec: Spec
    let bundle: String
    let log: Log
    let cgroup: HostCgroup
    let store: StateStore
    /// Whether the container's directory goes with a supervisor that died and could not remove it.
    let removedWhenLost: Bool
}

extension LaunchedSandbox {
    private borrowing func hooks(_ status: State.Status) -> HookRunner? {
        HookRunner(
            spec,
            state: State(
                ociVersion: spec.ociVersion, id: id.text, status: status, pid: status == .stopped ? 0 : Int(standIn),
                bundle: bundle, annotations: spec.annotations))
    }

    /// Those before the container is made, while the guest boots.
    borrowing func runFirstHooks() throws(RuntimeError) {
        do throws(RuntimeError) {
            let hooks = hooks(.creating)
            try hooks?.run(\.prestart, "prestart")
            try hooks?.run(\.createRuntime, "createRuntime")
            try hooks?.run(\.createContainer, "createContainer", in: standIn)
            try refuseInterfaces()
        } catch {
            giveUp()
            throw error
        }
        channel.send(ControlRequest.hooksRan.json)
    }

    /// A network that a hook has made for the container ends on the host: better no container than one that has lost it.
    private borrowing func refuseInterfaces() throws(RuntimeError) {
        let text = String(
            decoding: (try? File.readStart("/proc/\(standIn)/net/dev", count: 1 << 16)) ?? [], as: UTF8.self)
        let names = text.split(separator: "\n").dropFirst(2).compactMap {
            $0.split(separator: ":").first?.split(separator: " ").first.map(String.init)
        }
        // Of tunnels every network namespace has some that are down, where their drivers are loaded.
        let standard: Set<String> = [
            "lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0",
        ]
        guard spec.linux?.namespaces.contains(where: { $0.type == .network }) == true,
            let name = names.first(where: { !standard.contains($0) })
        else { return }
        throw RuntimeError(
            "the container was given the network interface \(name), and networks do not reach into a guest yet: run it with "
                + "no network (--network none)")
    }

    /// Those after the program was started.
    borrowing func runPoststart() throws(RuntimeError) { try hooks(.running)?.run(\.poststart, "poststart") }

    /// Those after the container was deleted.
    borrowing func runPoststop() { hooks(.stopped)?.runAll(\.poststop, "poststop", log: log) }

    /// Ends and removes a container that is not to be.
    borrowing func giveUp() {
        channel.send(ControlRequest.destroy.json)
        _ = try? process.wait()
        ProcessControl.end(standIn)
        cgroup.remove(milliseconds: 500)
        try? store.remove(id)
        runPoststop()
    }

    /// Waits for the container to be made.
    borrowing func waitUntilCreated() throws(RuntimeError) {
        while true {
            switch try next() {
            case .created: return
            case .failed(let message, let code, let console):
                _ = try? process.wait()
                runPoststop()
                throw RuntimeError(message, exitCode: code, console: console)
            case .done, .exited, .timeline, .console, .warning, .process, .stepFailed, .value: continue
            }
        }
    }

    /// The supervisor's next word; the guest's console and warnings go to the log on the way.
    borrowing func next() throws(RuntimeError) -> ControlEvent {
        do {
            guard let value = try channel.receive() else {
                let status = try process.wait()
                let wantsMemory = status == .signaled(signal: SIGKILL) && cgroup.oomKills > 0
                if removedWhenLost {
                    cgroup.remove(milliseconds: 500)
                    try? store.remove(id)
                }
                // The kernel goes on to kill while what held the guest's memory has not ended yet.
                if wantsMemory { throw HostCgroup.outOfMemory("the supervisor of \(id)") }
                throw RuntimeError("the supervisor of \(id) \(status.words)")
            }
            let event = try ControlEvent(decoding: value)
            if case .console(let line) = event { log.debug("guest: \(line)") }
            if case .warning(let message) = event { log.warning(message) }
            return event
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("the supervisor of \(id): \(error)")
        }
    }
}

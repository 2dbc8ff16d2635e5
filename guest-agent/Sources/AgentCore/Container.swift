import AgentProtocol
import CLinux
import Cgroup
import Jail
import LinuxSys

/// One container: its init, what was exec'ed beside it, its cgroup, from its making to its end.
final class Container {
    /// What a container tells the agent.
    struct Callbacks {
        var answer: (UInt32, GuestMessage) -> Void
        /// Says something that is no answer.
        var tell: (GuestMessage) -> Void
        /// Everything is said and done; it has let go of all that it had.
        var gone: (ProcessExit?) -> Void
    }

    /// What a container may have running beside its init at the same time.
    static let mostProcesses = 1024

    let id: String
    let cgroup: Cgroup
    private let loop: EventLoop
    private let plan: FlatPlan
    private let callbacks: Callbacks
    private let directory: FileDescriptor
    /// Where the share is mounted.
    private let share: String
    private let sockets: SocketRelays
    /// By their numbers; the init is 0.
    private var processes: [UInt32: ContainedProcess] = [:]
    private var memory: MemoryEvents?
    private var recheck: EventLoop.Token = 0
    /// When its last process must be gone; monotonic nanoseconds. 0: that is no more a question.
    private var patience: UInt64 = 0
    private var isGone = false

    init(
        _ request: UInt32, id: String, plan: FlatPlan, share: String, channels: Channels, sockets: SocketRelays,
        cgroup: Cgroup, loop: EventLoop, callbacks: Callbacks
    ) throws(Errno) {
        self.id = id
        self.plan = plan
        self.share = share
        self.cgroup = cgroup
        self.sockets = sockets
        self.loop = loop
        self.callbacks = callbacks
        directory = try cgroup.directory()
        let child = try JailChild(
            plan, stdio: channels.ends.map { $0?.raw }, passed: channels.passedEnds, cgroup: directory.raw)
        processes[0] = try ContainedProcess(
            0, request: request, child: child, channels: channels, startsAtOnce: false, loop: loop,
            callbacks: .init(
                answer: callbacks.answer, discarded: { [self] in killAll() }, drained: { [self] in finishIfDrained() }))
    }

    private var initial: ContainedProcess? { processes[0] }

    /// A pidfd of its init, which another container can take namespaces of; nil: it has none that lives.
    var initReference: SharedDescriptor? {
        guard let initial, initial.isAlive, let raw = try? once({ clinux_pidfd_open(initial.pid, 0) }) else {
            return nil
        }
        return SharedDescriptor(FileDescriptor(owning: raw))
    }

    /// What the kernel says of the container's memory, as it happens.
    func watchMemory() {
        memory = MemoryEvents(loop, cgroup: cgroup) { [self] in
            callbacks.tell(.outOfMemory(container: id, count: $0))
        }
    }

    // MARK: Requests

    /// Runs a process beside the init.
    func exec(_ exec: ExecProcess, request: UInt32, parked: (UInt32) -> SharedDescriptor?) -> Failure? {
        guard let initial, initial.isAlive else { return notRunning }
        let number = exec.process.number
        guard number > 0, processes[number] == nil, processes.count <= Self.mostProcesses else {
            return Failure(kind: .state, message: "process \(number) can't be made beside the others")
        }
        let plan: FlatPlan
        do throws(WireError) { plan = try FlatPlan(exec.plan, share: "", root: self.plan.root) } catch {
            return Failure(kind: .guest, message: "the plan could not be read: \(error)")
        }
        do throws(Errno) {
            let channels = try Channels(loop, exec.stdio, exec.passed, share: share)
            // What listens for a process that was not to be would be there for ever.
            defer { if processes[number] == nil { channels.close() } }
            let pidfd = FileDescriptor(owning: try once { clinux_pidfd_open(initial.pid, 0) })
            let place = try exec.cgroup.isEmpty ? nil : SharedDescriptor(cgroup.directory(below: exec.cgroup))
            let child = try make(plan, beside: pidfd, channels, place)
            let process = try ContainedProcess(
                number, request: request, child: child, channels: channels, startsAtOnce: true, loop: loop,
                callbacks: .init(
                    answer: callbacks.answer,
                    discarded: { [self] in if let pid = processes[number]?.pid { _ = kill(pid, SIGKILL) } },
                    drained: { [self] in finishIfDrained() }))
            processes[number] = process
            for stream in channels.missing {
                if let remote = parked(stream) { _ = process.attach(stream, remote) }
            }
            return nil
        } catch {
            let place = exec.cgroup.isEmpty ? "" : " in the cgroup \(exec.cgroup.joined(separator: "/"))"
            return Failure(kind: .guest, message: "making process \(number)\(place): \(error.words)")
        }
    }

    /// The child of an exec, in `place` or the container's cgroup; where that takes no processes, because the container has
    /// made cgroups below it and handed them its controllers (systemd does), in that of its init, as with runc.
    private func make(
        _ plan: FlatPlan, beside pidfd: borrowing FileDescriptor, _ channels: Channels, _ place: SharedDescriptor?
    ) throws(Errno) -> JailChild {
        func make(_ cgroup: CInt) throws(Errno) -> JailChild {
            try JailChild(
                plan, beside: self.plan, init: pidfd.raw, stdio: channels.ends.map { $0?.raw },
                passed: channels.passedEnds, cgroup: cgroup)
        }
        if let place { return try make(place.raw) }
        do throws(Errno) { return try make(directory.raw) } catch .busy {
            guard let initial, let place = try cgroup.group(of: initial.pid) else { throw .busy }
            return try make(place.raw)
        } catch { throw error }
    }

    private var notRunning: Failure { Failure(kind: .state, message: "container \(id) is not running") }

    /// Takes a stream of the host; false if nobody here waits for it.
    func attach(_ stream: UInt32, _ remote: SharedDescriptor) -> Bool {
        processes.values.contains { $0.attach(stream, remote) } || sockets.attach(stream, remote)
    }

    func start(_ request: UInt32) -> Failure? {
        guard let initial, case .created = initial.phase else {
            return Failure(kind: .state, message: "container \(id) has been started already")
        }
        return initial.start(request)
    }

    func send(_ signal: SendSignal) -> Failure? {
        guard let process = processes[signal.process.number], process.isAlive else { return notRunning }
        let number = CInt(signal.signal)
        do throws(Errno) {
            if signal.all, number == SIGKILL {
                try cgroup.kill()
            } else if signal.all {
                // Those that ended meanwhile need no signal.
                for pid in cgroup.processes() { _ = kill(pid, number) }
            } else {
                try process.send(number)
            }
            return nil
        } catch {
            return Failure(kind: .state, message: "signal \(number): \(error.words)")
        }
    }

    func resize(_ size: ResizeTerminal) -> Failure? {
        guard let process = processes[size.process.number] else { return notRunning }
        do throws(Errno) {
            try process.channels.resize(rows: size.rows, columns: size.columns)
            return nil
        } catch {
            return Failure(kind: .state, message: "resizing the terminal: \(error.words)")
        }
    }

    // MARK: The end

    /// Takes the end of a process that was reaped; false if it is none of those that the host knows.
    func reaped(_ pid: pid_t, _ status: ExitStatus) -> Bool {
        // A helper that has said whom it made, and what was made by it: both say so before they can end.
        for process in processes.values { process.hearChild() }
        guard let process = processes.values.first(where: { $0.pid == pid && $0.status == nil }) else {
            if initial?.status != nil { waitForOthers() }
            return false
        }
        process.ended(status)
        if process.number == 0 {
            patience = Clock.monotonicNanoseconds() &+ 10_000_000_000
            // The first process of a pid namespace is reaped after all others in it.
            if !plan.hasPIDNamespace { killAll() }
            waitForOthers()
        } else {
            process.channels.drain()
            finishIfDrained()
            if initial?.status != nil { waitForOthers() }
        }
        return true
    }

    private func killAll() {
        // A frozen process is killed too, by the first of these.
        do throws(Errno) { try cgroup.kill() } catch { if let initial { try? initial.send(SIGKILL) } }
    }

    /// With a pid namespace they are all gone when the first one is; without one, or when a process of the guest was
    /// moved in, it takes a moment.
    private func waitForOthers() {
        guard patience > 0 else { return }
        if cgroup.isPopulated, Clock.monotonicNanoseconds() < patience {
            loop.cancel(recheck)
            recheck = loop.after(milliseconds: 5) { [self] in waitForOthers() }
            return
        }
        patience = 0
        loop.cancel(recheck)
        initial?.channels.drain()
        finishIfDrained()
    }

    private func finishIfDrained() {
        for (number, process) in processes where number > 0 && process.status != nil && process.channels.isDrained {
            process.channels.close()
            processes[number] = nil
            if let exit = process.exit(of: id, oomKilled: false) { callbacks.tell(.exited(exit)) }
        }
        guard let initial, initial.status != nil, patience == 0, initial.channels.isDrained, !isGone else { return }
        // Those that the init took along are reaped at about the same time; what they wrote is not to be lost.
        if processes.values.contains(where: { $0.number > 0 && $0.status != nil }) { return }
        isGone = true
        memory?.close()
        sockets.close()
        for process in processes.values { process.channels.close() }
        let exit = initial.exit(of: id, oomKilled: cgroup.oomKilled)
        processes = [:]
        // With a mount namespace of its own its mounts went with it. A disk is let go of by its file system then.
        if !plan.hasMountNamespace { umount2(plan.root, CInt(MNT_DETACH)) }
        // The host may end the machine as soon as it knows; it needn't wait for the tidying up.
        sync()
        callbacks.gone(exit)
        cgroup.remove()
        rmdir(plan.root)
    }
}

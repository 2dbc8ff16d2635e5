import AgentProtocol
import Glibc
import JSON
import JailCompiler
import LinuxSys
import OCISpec
import QEMUDriver
import StateStore
import VMDriver
import VMMWire

/// One sandbox: its machine, its agent, its container's stdio, and those who ask about it. One thread, one loop.
final class Supervisor {
    /// Where the container is on its way; it only moves forward.
    enum Phase: Int, Comparable {
        /// The machine starts, the agent has not called.
        case booting
        /// The agent has called. The hooks may still be running.
        case greeted
        /// The agent makes the container.
        case creating
        case created
        case starting
        case running
        /// The init has ended; its output is still being delivered.
        case exited
        /// The guest is being switched off.
        case ending
        case ended

        static func < (left: Phase, right: Phase) -> Bool { left.rawValue < right.rawValue }
    }

    var request: LaunchRequest
    let id: ContainerID
    let store: StateStore
    let spec: Spec
    let loop: EventLoop
    let directory: SandboxDirectory
    let launcher: Launcher
    var phase = Phase.booting
    var record: ContainerRecord
    /// Compiled while the guest boots.
    private var filter: Result<SeccompFilter?, RuntimeError>?
    /// What the guest was told to make.
    private var plan: JailPlan?
    var timeline = Timeline()
    var console = ConsoleTail()
    var machine: (any VirtualMachine)?
    var agent: AgentLink?
    var stdio: ProcessStdio?
    var server: ControlServer?
    private var clock: ClockJumps?
    /// How the container ended, once it has.
    var exit: ProcessExit?
    /// Why the sandbox ends without its container having ended by itself.
    var failure: RuntimeError?
    /// Answers owed to those who asked for the start.
    var startWaiters: [(ControlEvent) -> Void] = []
    /// Those who asked for a process that has not ended, or whose output they have not taken, by its number.
    var execs: [UInt32: ControlCaller] = [:]
    var nextProcess: UInt32 = 1
    /// All else is done.
    var waitsForExecs = false
    /// Those who asked to be told of events.
    var listeners: [ControlCaller] = []
    private var agentListener: SharedDescriptor?
    private var agentListenerToken: EventLoop.Token?
    private var deadline: EventLoop.Token?
    var launcherToken: EventLoop.Token?
    let signals: SignalDescriptor
    /// The container's init, as the host sees it.
    let standIn: InitStandIn

    init(request: LaunchRequest, launcher: Launcher, signals: consuming SignalDescriptor) throws {
        self.request = request
        self.launcher = launcher
        self.signals = signals
        guard let id = ContainerID(request.id) else { throw RuntimeError("invalid container ID: \(request.id)") }
        self.id = id
        store = StateStore(root: request.root)
        spec = try Spec(json: try JSONValue.parse(try store.spec(of: id)))
        loop = try EventLoop()
        directory = try SandboxDirectory(path: store.directory(of: id))
        record = ContainerRecord(
            id: id.text, bundle: request.bundle, rootfs: request.rootfs, ociVersion: spec.ociVersion,
            annotations: spec.annotations, status: .creating, pid: request.standIn,
            pidStartTime: Processes.startTime(of: request.standIn) ?? 0, created: Timestamp.now())
        record.supervisor = .init(pid: getpid(), startTime: Processes.startTime(of: getpid()) ?? 0)
        record.memoryMiB = request.memoryMiB
        standIn = try InitStandIn(FileDescriptor(owning: LaunchRequest.Inherited.standIn), loop: loop)
        timeline.mark(.supervisorStarted)
    }

    /// Runs the sandbox to its end; the exit code for this process.
    func run() -> Int32 {
        do {
            try begin()
            try loop.run()
        } catch let error as RuntimeError {
            fail(error)
        } catch {
            fail(RuntimeError("sandbox \(id): \(error)"))
        }
        return finish()
    }

    private func begin() throws {
        try store.write(record, of: id)
        standIn.events = { [unowned self] in standInEvent($0) }
        if request.debug { console.follower = { [launcher] in launcher.send(.console(line: $0)) } }
        try loop.watch(signals.raw, .readable) { [unowned self] _ in takeSignals() }
        launcherToken = try loop.watch(launcher.channel.socket.raw, .readable) { [unowned self] _ in takeLauncher() }
        server = try ControlServer(loop: loop, directory: directory) { [unowned self] in handle($0, $1, $2) }
        try listenForAgent()
        if request.virtiofsd != nil { _ = try once { mkdir(directory.path + "/share", 0o700) } }
        let driver = QEMUDriver(
            programs: .init(qemu: request.qemu, virtiofsd: request.virtiofsd, vmm: request.vmm))
        machine = try driver.start(machinePlan, in: directory, loop: loop) { [unowned self] in machineEvent($0) }
        timeline.mark(.hypervisorStarted)
        filter = SeccompFilter.compile(spec)
        deadline = loop.after(milliseconds: UInt64(request.bootTimeout) * 1000) { [unowned self] in
            failGuest("the guest's agent did not call within \(request.bootTimeout) s")
        }
    }

    private var machinePlan: VMPlan {
        let trees = [
            VMPlan.SharedTree(
                source: request.rootfs, name: "rootfs", readOnly: false, recursive: true, cache: request.rootfsCache)
        ]
        let binds = spec.bindSources(bundle: request.bundle).map { index, source in
            VMPlan.SharedTree(
                source: source, name: Self.bindName(index), readOnly: spec.mounts[index].isReadOnly,
                recursive: spec.mounts[index].isRecursive, cache: request.volumeCache)
        }
        return VMPlan(
            name: id.text, accelerator: request.accelerated ? .kvm : .emulation, vcpus: request.vcpus,
            memoryMiB: request.memoryMiB, kernel: request.kernel, initramfs: request.initramfs,
            kernelParameters: request.kernelParameters, tscKilohertz: request.tscKilohertz, shareTag: "kvmfs",
            trees: trees + binds, sharesFileLocks: request.sharesFileLocks,
            pollMicroseconds: request.pollMicroseconds)
    }

    var bindNames: [String] { spec.bindSources(bundle: request.bundle).map { Self.bindName($0.mount) } }
    /// The agent takes requests.
    var isServing: Bool { phase >= .created && phase < .exited }

    private static func bindName(_ index: Int) -> String { "bind-\(index)" }

    // MARK: The agent

    private func listenForAgent() throws {
        let name = VsockSocketName.fromGuest(port: AgentPort.control)
        let listener = SharedDescriptor(try Sockets.listen(at: name, in: directory.descriptor.descriptor, backlog: 1))
        agentListener = listener
        agentListenerToken = try loop.watch(listener.raw, .readable) { [unowned self] _ in acceptAgent() }
    }

    private func acceptAgent() {
        do {
            guard let listener = agentListener, let stream = try Sockets.accept(listener.descriptor) else { return }
            // The first call is the agent's, before any process of a container runs; there is no second.
            stopListening()
            agent = try AgentLink(loop: loop, stream: stream) { [unowned self] in agentEvent($0) }
        } catch {
            fail(RuntimeError("the connection of the guest's agent: \(error)"))
        }
    }

    private func stopListening() {
        if let agentListenerToken { loop.unwatch(agentListenerToken) }
        agentListenerToken = nil
        agentListener = nil
        unlinkat(directory.descriptor.raw, VsockSocketName.fromGuest(port: AgentPort.control), 0)
    }

    private func agentEvent(_ event: AgentLink.Event) {
        switch event {
        case .hello(let hello): welcome(hello)
        case .exited(let exit): processExited(exit)
        case .outOfMemory(_, let count): tellOfMemory(count)
        case .watching(let files): watch(files)
        case .lost(let reason):
            // The machine's end follows when the guest panicked or switched itself off, and knows more.
            guard phase < .ending else { return }
            loop.after(milliseconds: 500) { [weak self] in self?.failGuest("the guest is out of order: \(reason)") }
        }
    }

    private func welcome(_ hello: Hello) {
        guard phase == .booting else { return }
        if let deadline { loop.cancel(deadline) }
        let now = Clock.monotonicNanoseconds()
        timeline.mark(.agentReady, now)
        timeline.mark(.kernelEntered, now > hello.uptime ? now - hello.uptime : now)
        guard hello.version == wireVersion else {
            return fail(
                RuntimeError(
                    "the guest's agent speaks version \(hello.version), this kvm-runtime speaks \(wireVersion): "
                        + "build or install both together"))
        }
        agent?.send(.welcome(Welcome(realtime: Clock.realtimeNanoseconds(), seed: Random.bytes(64))))
        watchClock()
        phase = .greeted
        createContainerIfReady()
    }

    func createContainerIfReady() {
        if phase == .greeted, !request.waitsForHooks { createContainer() }
    }

    /// The host's clock jumps when somebody sets it and when the host wakes from suspension: the guest's must follow.
    private func watchClock() {
        clock = try? ClockJumps(loop: loop) { [unowned self] in
            guard phase < .exited else { return }
            agent?.send(.setClock(nanoseconds: Clock.realtimeNanoseconds())) { _ in }
        }
    }

    private func createContainer() {
        phase = .creating
        do throws(RuntimeError) {
            let stdio = try ProcessStdio(
                spec.process, number: 0, consoleSocket: request.consoleSocket, loop: loop,
                dialer: StreamDialer(loop: loop, directory: directory))
            self.stdio = stdio
            stdio.events = { [unowned self] in stdioEvent($0) }
            agent?.send(.create(try guestContainer(stdio))) { [unowned self] in containerCreated($0) }
            stdio.open()
        } catch {
            fail(error)
        }
    }

    /// What the guest is to make.
    private func guestContainer(_ stdio: ProcessStdio) throws(RuntimeError) -> CreateContainer {
        let binds = spec.bindSources(bundle: request.bundle).map { ($0.mount, Self.bindName($0.mount)) }
        var terminal: TerminalSize?
        if case .terminal(_, let rows, let columns) = stdio.plan {
            terminal = TerminalSize(rows: rows, columns: columns)
        }
        let place = JailPlace(
            rootfs: "rootfs", binds: Dictionary(binds, uniquingKeysWith: { first, _ in first }), terminal: terminal,
            filter: try filter?.get())
        do throws(SpecError) {
            let plan = try JailPlan(spec, in: place)
            self.plan = plan
            return CreateContainer(
                container: id.text, plan: plan.encoded, shareTag: "kvmfs",
                cgroup: CgroupPath.names(cgroupsPath: spec.linux?.cgroupsPath ?? "", container: id.text),
                settings: try CgroupSettings.of(spec.guestResources), watched: binds.map { $0.1 }, stdio: stdio.plan)
        } catch {
            throw RuntimeError("config.json: \(error)")
        }
    }

    private func containerCreated(_ answer: Result<GuestMessage, RuntimeError>) {
        guard phase == .creating else { return }
        switch answer {
        case .success(.created(let created)):
            timeline.mark(.processCreated)
            markGuestTime(.rootfsMounted, created.rootfsMounted)
            // The rootfs has all its mount points now.
            standIn.enter()
            // Others may enter its namespaces as soon as they know its pid. With `run` nobody knows it yet.
            if request.followsLauncher { containerReady() }
        case .success(.failed(let refusal)): fail(refusal)
        case .success(.stepFailed(let failure)): fail(describe(failure))
        case .success: failGuest("the agent gave a wrong answer")
        case .failure(let error): fail(error)
        }
    }

    private func standInEvent(_ event: InitStandIn.Event) {
        switch event {
        case .signal(let signal): take(signal)
        case .entered: containerReady()
        case .failed(let error): fail(error)
        case .gone:
            guard phase < .exited else { return }
            fail(RuntimeError("the container's process on the host was killed", exitCode: 128 + SIGKILL))
        }
    }

    private func containerReady() {
        guard phase == .creating else { return }
        phase = .created
        record.processes = Dictionary(
            (machine?.processes ?? []).map { ($0.name, $0.pid) }, uniquingKeysWith: { first, _ in first })
        updateRecord(.created)
        launcher.send(.created)
    }

    private func limitProcessorTime() {
        let limits = HostLimits(
            spec.linux?.resources, guestMemoryMiB: request.memoryMiB, accelerated: request.accelerated)
        do throws(RuntimeError) { try limits.applyQuota(to: request.cgroup) } catch { fail(error) }
    }

    /// A moment of the guest's clock, which is known against ours since the agent's greeting.
    private func markGuestTime(_ name: TimelineMark.Name, _ uptime: UInt64) {
        guard let entered = timeline.marks.first(where: { $0.name == .kernelEntered })?.time else { return }
        let (time, overflow) = entered.addingReportingOverflow(uptime)
        // The guest can say what it likes; the picture stays within the present.
        timeline.mark(name, overflow ? Clock.monotonicNanoseconds() : min(time, Clock.monotonicNanoseconds()))
    }

    func start() {
        phase = .starting
        agent?.send(.start(container: id.text)) { [unowned self] in containerStarted($0) }
    }

    private func containerStarted(_ answer: Result<GuestMessage, RuntimeError>) {
        guard phase == .starting else { return }
        switch answer {
        case .success(.done):
            timeline.mark(.processStarted)
            phase = .running
            limitProcessorTime()
            updateRecord(.running)
            // Containers that end at once needn't pay for the idleness of others.
            loop.after(milliseconds: 300) { ProcessControl.releaseCodePages() }
            for waiter in startWaiters { waiter(.done) }
            startWaiters = []
            // An end that overtook the answer.
            if let exit { containerExited(exit) }
        case .success(.failed(let refusal)): fail(refusal)
        case .success(.stepFailed(let failure)): fail(describe(failure))
        case .success: failGuest("the agent gave a wrong answer")
        case .failure(let error): fail(error)
        }
    }

    private func processExited(_ exit: ProcessExit) {
        guard exit.process.container == id.text else { return }
        if exit.process.number == 0 { containerExited(exit) } else { execExited(exit) }
    }

    private func containerExited(_ exit: ProcessExit) {
        guard phase < .exited else { return }
        self.exit = exit
        guard phase != .starting else { return }
        timeline.mark(.processExited)
        phase = .exited
        record.exitCode = exit.shellCode
        // What is removed in a moment anyway needn't be written down first.
        if !request.removesAtExit { updateRecord(.stopped) }
        if stdio?.isDelivered ?? true { outputDelivered() }
    }

    // MARK: Stdio

    private func stdioEvent(_ event: ProcessStdio.Event) {
        switch event {
        case .firstByte: timeline.mark(.firstByte)
        case .delivered: if phase == .exited { outputDelivered() }
        case .failed(let error): fail(error)
        }
    }

    /// Nothing is left to wait for: the agent synced the file systems before it told of the end.
    private func outputDelivered() {
        timeline.mark(.outputDelivered)
        endAfterExecs()
    }

    /// Ends the sandbox on request: the container's processes are killed and what they wrote is synced, if the guest is
    /// still able to.
    func destroy() {
        guard phase >= .created, phase < .ending, let agent else { return fail(RuntimeError("deleted")) }
        phase = .ending
        agent.send(.shutdown) { [unowned self] _ in fail(RuntimeError("deleted")) }
        loop.after(milliseconds: 2000) { [unowned self] in fail(RuntimeError("deleted")) }
    }

    func resizeTerminal() {
        guard let size = stdio?.terminalSize, phase >= .created, phase < .exited else { return }
        agent?.send(.resize(ResizeTerminal(process: ProcessName(id.text), rows: size.rows, columns: size.columns))) {
            _ in
        }
    }

    // MARK: The machine

    private func machineEvent(_ event: VMEvent) {
        switch event {
        case .console(let bytes): console.append(bytes)
        case .fileChanged(let change): tellAgent(change)
        case .ended(let end):
            timeline.mark(.machineEnded)
            if phase >= .ending { return self.end() }
            switch end {
            case .guestReset: failGuest("the guest stopped unexpectedly (its kernel panicked or reset)")
            case .processDied(let name, let status, let complaint):
                if request.cgroup.oomKills > 0 { return fail(HostCgroup.outOfMemory(name)) }
                let words = complaint.split(whereSeparator: \.isNewline).last.map { ": \($0)" } ?? ""
                failGuest("\(name) \(status.words)\(words)")
            }
        }
    }

    // MARK: The end

    /// Ends the sandbox because of `error`.
    func fail(_ error: RuntimeError) {
        guard phase < .ended else { return }
        if exit == nil, failure == nil { failure = error }
        end()
    }

    /// Ends the sandbox because the guest is out of order: its last words belong to the error.
    private func failGuest(_ description: String) {
        var error = RuntimeError(description)
        error.console = console.last
        fail(error)
    }

    private func describe(_ failure: StepFailure) -> Failure {
        plan?.failure(failure) ?? Failure(kind: .guest, message: "step \(failure.step) failed without a plan")
    }

    private func fail(_ refusal: Failure) {
        if refusal.kind == .guest { failGuest(refusal.message) } else { fail(RuntimeError(refusal)) }
    }

    func end() {
        guard phase < .ended else { return }
        phase = .ended
        loop.stop()
    }

    /// Leaves nothing behind, tells everyone, and gives the exit code.
    private func finish() -> Int32 {
        phase = .ended
        machine?.kill()
        timeline.mark(.machineEnded)
        agent?.close()
        stdio?.close()
        stopListening()
        let code = exit?.shellCode ?? failure?.exitCode ?? 1
        if request.removesAtExit || record.status == .creating {
            // The stand-in goes first here: the command that waits for it waits for this process too.
            standIn.exit(code)
            request.cgroup.leave()
            request.cgroup.remove(milliseconds: 500)
            try? store.remove(id)
        } else {
            record.exitCode = code
            updateRecord(.stopped)
            server?.close()
            for name in [VsockSocketName.toGuest, "share"] {
                unlinkat(directory.descriptor.raw, name, name == "share" ? AT_REMOVEDIR : 0)
            }
        }
        if let failure {
            for waiter in startWaiters { waiter(ControlEvent(failure)) }
            launcher.send(ControlEvent(failure))
        }
        let times = (machine?.processorTimes ?? []) + [("supervisor", Processes.ownProcessorTime)]
        launcher.send(
            .timeline(
                timeline.marks,
                processorTimes: Dictionary(times.map { ($0.name, $0.microseconds) }, uniquingKeysWith: max)))
        launcher.send(.exited(code: code))
        // The last word: whoever waits for the container finds all else done.
        standIn.exit(code)
        return code
    }

    func updateRecord(_ status: State.Status) {
        record.status = status
        do throws(StateError) { try store.write(record, of: id) } catch {
            // Without state on disk nobody could find the container again.
            fail(RuntimeError("\(error)"))
        }
    }
}

import AgentProtocol
import Glibc
import JailCompiler
import LinuxSys
import OCISpec
import StateStore

/// The container, from the agent's greeting to the last byte of its output.
extension Supervisor {
    func welcome(_ hello: Hello) {
        guard phase == .booting else { return }
        // The image of its root can keep the guest waiting too.
        if let deadline, request.image == nil { loop.cancel(deadline) }
        let now = Clock.monotonicNanoseconds()
        timeline.mark(.agentReady, now)
        let entered = now > hello.uptime ? now - hello.uptime : now
        guestEntered = entered
        // A guest that was joined ran before this sandbox began.
        timeline.mark(.kernelEntered, request.sandbox.isEmpty ? entered : now)
        guard hello.version == wireVersion else {
            return fail(
                RuntimeError(
                    "the guest's agent speaks version \(hello.version), this kvm-runtime speaks \(wireVersion): "
                        + "build or install both together"))
        }
        agent?.send(.welcome(Welcome(realtime: Clock.realtimeNanoseconds(), seed: Random.bytes(64))))
        if request.sandbox.isEmpty { watchClock() }
        phase = .greeted
        if let image = request.image { enterRoot(image) }
        createContainerIfReady()
    }

    func createContainerIfReady() {
        if phase == .greeted, !request.waitsForHooks, !awaitsRoot { createContainer() }
    }

    private func enterRoot(_ image: MachineImage) {
        awaitsRoot = true
        agent?.send(.enterRoot(image.guestDisk)) { [unowned self] answer in
            if let deadline { loop.cancel(deadline) }
            guard phase == .greeted else { return }
            switch answer {
            case .success(.done):
                awaitsRoot = false
                createContainerIfReady()
            case .success(.failed(let refusal)):
                fail(RuntimeError("\(image.field): \(image.source): \(refusal.message)"))
            case .success: failGuest("the agent gave a wrong answer")
            case .failure(let error): fail(error)
            }
        }
    }

    /// The host's clock jumps when somebody sets it and when the host wakes from suspension: the guest's must follow.
    func watchClock() {
        clock = try? ClockJumps(loop: loop) { [unowned self] in
            guard phase < .exited else { return }
            agent?.send(.setClock(nanoseconds: Clock.realtimeNanoseconds())) { _ in }
        }
    }

    func createContainer() {
        phase = .creating
        do throws(RuntimeError) {
            let stdio = try ProcessStdio(
                spec.process, number: firstProcess, consoleSocket: request.consoleSocket, passed: passed,
                from: LaunchRequest.Inherited.passed, loop: loop, dialer: StreamDialer(loop: loop, directory: directory)
            )
            self.stdio = stdio
            stdio.events = { [unowned self] in stdioEvent($0) }
            agent?.send(.create(try guestContainer(stdio))) { [unowned self] in containerCreated($0) }
            stdio.open()
        } catch {
            fail(error)
        }
    }

    /// What the guest is to make.
    func guestContainer(_ stdio: ProcessStdio) throws(RuntimeError) -> CreateContainer {
        let binds = sharedMounts.map { ($0.mount, bindName($0.mount)) }
        var terminal: TerminalSize?
        if case .terminal(_, let rows, let columns) = stdio.plan {
            terminal = TerminalSize(rows: rows, columns: columns)
        }
        let rootDisk = request.disks.first(where: \.isRoot)
        var place = JailPlace(
            rootfs: rootDisk.map { JailDisk.source($0.name) } ?? treePrefix + "rootfs",
            binds: Dictionary(binds, uniquingKeysWith: { first, _ in first }),
            sockets: Set(boundSockets.map(\.mount)), terminal: terminal,
            filter: try filter?.get())
        for (index, kind) in spec.mountSources(bundle: request.bundle) {
            if case .device(let device) = kind { place.devices[index] = device.node }
            if case .tree(let source) = kind { place.inherited[index] = MountAttributes(ofMountAt: source) }
        }
        place.disks = request.disks.filter { !$0.isRoot }.map { JailDisk(name: $0.name, target: $0.target) }
        do throws(SpecError) {
            var plan = try JailPlan(announcingSockets, in: place)
            let devices = DeviceFilter.program(spec.linux?.resources?.devices ?? [])
            guard devices.count <= WireLimit.deviceFilter else {
                throw SpecError(
                    path: "linux.resources.devices", message: "has more rules than a program for the guest can hold")
            }
            if !plan.hooks.isEmpty { plan.state = hookState }
            self.plan = plan
            return CreateContainer(
                container: id.text, plan: plan.encoded, shareTag: "kvmfs",
                cgroup: CgroupPath.names(cgroupsPath: spec.linux?.cgroupsPath ?? "", container: id.text),
                settings: try CgroupSettings.of(spec.guestResources),
                deviceFilter: devices, watched: binds.map { $0.1 },
                sockets: socketBinds, joins: request.joins, disks: request.disks.map(\.guestDisk),
                stdio: stdio.plan, passed: stdio.passedPlan(passedPrefix))
        } catch {
            throw RuntimeError("config.json: \(error)")
        }
    }

    /// The configuration, with what the process has to know of sockets that it is to listen on.
    private var announcingSockets: Spec {
        guard request.listening > 0 else { return spec }
        var spec = spec
        // In the container its init is 1.
        spec.process?.env += ["LISTEN_FDS=\(request.listening)", "LISTEN_PID=1"]
        return spec
    }

    private var socketBinds: [SocketBind] {
        boundSockets.map { mount, source in
            let status = File.status(source)
            return SocketBind(
                mount: UInt32(mount), mode: UInt32(status?.mode ?? 0o600) & 0o777, uid: status?.uid ?? 0,
                gid: status?.gid ?? 0)
        }
    }

    /// The container's state for hooks in the guest, whose number of its init only the guest knows.
    private var hookState: (head: String, tail: String) {
        let marker = -1
        let state = State(
            ociVersion: spec.ociVersion, id: id.text, status: .created, pid: marker, bundle: request.bundle,
            annotations: spec.annotations)
        let text = String(decoding: state.json.bytes(), as: UTF8.self)
        // In a text the quotes would be escaped.
        let parts = text.split(separator: "\"pid\":\(marker)", maxSplits: 1)
        return parts.count == 2 ? (parts[0] + "\"pid\":", String(parts[1])) : (text, "")
    }

    func containerCreated(_ answer: Result<GuestMessage, RuntimeError>) {
        guard phase == .creating else { return }
        switch answer {
        case .success(.created(let created)):
            timeline.mark(.processCreated)
            markGuestTime(.rootfsMounted, created.rootfsMounted)
            // The rootfs has all its mount points now.
            standIn.enter()
            // Others may enter its namespaces as soon as they know its pid. With `run` nobody knows it yet.
            if request.followsLauncher, !standInTakesNamespaces { containerReady() }
        case .success(.failed(let refusal)): fail(refusal)
        case .success(.stepFailed(let failure)): fail(describe(failure))
        case .success: failGuest("the agent gave a wrong answer")
        case .failure(let error): fail(error)
        }
    }

    /// The stand-in gets some of the container's namespaces with its place: who reads its pid is to find them.
    private var standInTakesNamespaces: Bool {
        spec.linux?.namespaces.contains { [.user, .cgroup, .time].contains($0.type) } ?? false
    }

    func standInEvent(_ event: InitStandIn.Event) {
        switch event {
        case .signal(let signal): take(signal)
        case .entered:
            writeMapsOfStandIn()
            containerReady()
        case .failed(let error): fail(error)
        case .gone:
            guard phase < .exited else { return }
            fail(RuntimeError("the container's process on the host was killed", exitCode: 128 + SIGKILL))
        }
    }

    /// It has a user namespace as the container has, so that who looks at it sees the same. Where the host has none for it, the
    /// container has its own in the guest all the same.
    private func writeMapsOfStandIn() {
        guard spec.linux?.namespaces.contains(where: { $0.type == .user && $0.path.isEmpty }) ?? false else { return }
        let maps = [("uid_map", spec.linux?.uidMappings), ("gid_map", spec.linux?.gidMappings)]
        for (name, mappings) in maps {
            let file = "/proc/\(request.standIn)/\(name)"
            do throws(Errno) {
                // In one write: the kernel takes no second one.
                let bytes = Array((mappings ?? []).lines.utf8)
                guard try FileDescriptor.open(file, O_WRONLY).write(bytes) == bytes.count else { throw .ioError }
            } catch {
                launcher.send(.warning("the container's process on the host has no ID mappings: \(file): \(error)"))
                return
            }
        }
    }

    func containerReady() {
        guard phase == .creating else { return }
        stdio?.startListening()
        // Who made it with `create` reads the quota, and may change it before `start`.
        if !request.followsLauncher { limitProcessorTime() }
        guard phase == .creating else { return }
        phase = .created
        record.processes = Dictionary(
            (machine?.processes ?? []).map { ($0.name, $0.pid) }, uniquingKeysWith: { first, _ in first })
        // Who made it would look for it in vain.
        if let error = updateRecord(.created) {
            revertRecord(to: .creating)
            return fail(RuntimeError("\(error)"))
        }
        launcher.send(.created)
    }

    func limitProcessorTime() {
        // The time of a guest is its owner's.
        guard request.sandbox.isEmpty else { return }
        let limits = HostLimits(
            spec.linux?.resources, guestMemoryMiB: request.memoryMiB, accelerated: request.accelerated)
        do throws(RuntimeError) { try limits.applyQuota(to: request.cgroup) } catch { fail(error) }
    }

    /// A moment of the guest's clock, which is known against ours since the agent's greeting.
    func markGuestTime(_ name: TimelineMark.Name, _ uptime: UInt64) {
        guard let entered = guestEntered else { return }
        let (time, overflow) = entered.addingReportingOverflow(uptime)
        // The guest can say what it likes; the picture stays within the present.
        timeline.mark(name, overflow ? Clock.monotonicNanoseconds() : min(time, Clock.monotonicNanoseconds()))
    }

    func start() {
        phase = .starting
        agent?.send(.start(container: id.text)) { [unowned self] in containerStarted($0) }
    }

    func containerStarted(_ answer: Result<GuestMessage, RuntimeError>) {
        guard phase == .starting else { return }
        switch answer {
        case .success(.done):
            timeline.mark(.processStarted)
            phase = .running
            // With `run` nobody could see it before, and the program is loaded without it.
            if request.followsLauncher { limitProcessorTime() }
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

    func processExited(_ exit: ProcessExit) {
        guard exit.process.container == id.text else {
            _ = tellMember(exit.process.container, .exited(exit))
            return
        }
        if exit.process.number == 0 { containerExited(exit) } else { execExited(exit) }
    }

    func containerExited(_ exit: ProcessExit) {
        guard phase < .exited else { return }
        self.exit = exit
        stdio?.stopListening()
        guard phase != .starting else { return }
        timeline.mark(.processExited)
        phase = .exited
        if isUnwanted { return endDeleted() }
        record.exitCode = exit.shellCode
        if isOutputLost || stdio?.isDelivered ?? true { return outputDelivered() }
        // Who ends a process by a signal takes into account what it had not got rid of.
        guard let signal = exit.signal, sentSignals.contains(signal) else { return }
        recordStopped()
        awaitReader()
    }

    /// Ends the sandbox on request: the container's processes are killed and what they wrote is synced, if the guest is
    /// still able to.
    func destroy() {
        guard phase >= .created, phase < .ending, let agent else { return endDeleted() }
        // The processes have ended, and nobody is to wait for what they wrote.
        if phase == .exited, !isDone { return giveUpOutput() }
        if !request.sandbox.isEmpty || !members.isEmpty && !request.followsLauncher {
            // The guest stays for the others, this container's processes go; their end ends us.
            isUnwanted = !request.sandbox.isEmpty
            sentSignals.insert(UInt8(SIGKILL))
            agent.send(.signal(SendSignal(process: ProcessName(id.text), signal: UInt8(SIGKILL), all: true))) { _ in }
            if isUnwanted { loop.after(milliseconds: 2000) { [unowned self] in endDeleted() } }
            return
        }
        shutDown()
    }

    /// Has the guest end all processes, sync and switch itself off.
    func shutDown() {
        markDeleted()
        phase = .ending
        agent?.send(.shutdown) { [unowned self] _ in endDeleted() }
        loop.after(milliseconds: 2000) { [unowned self] in endDeleted() }
    }
}

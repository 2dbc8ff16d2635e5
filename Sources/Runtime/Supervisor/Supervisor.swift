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
    /// What it says on disk.
    var recordedStatus = State.Status.creating
    /// It says what is not on disk yet.
    var recordRetry: EventLoop.Token?
    /// Compiled while the guest boots.
    var filter: Result<SeccompFilter?, RuntimeError>?
    /// What the guest was told to make.
    var plan: JailPlan?
    var timeline = Timeline()
    /// When the guest's kernel was entered, by CLOCK_MONOTONIC: its own times are measured from there.
    var guestEntered: UInt64?
    var console = ConsoleTail()
    var machine: (any VirtualMachine)?
    /// What its trees' names begin with; a container in another's guest has one.
    var treePrefix = ""
    var agent: AgentLink?
    var stdio: ProcessStdio?
    var server: ControlServer?
    var clock: ClockJumps?
    /// How the container ended, once it has.
    var exit: ProcessExit?
    /// Those that others had sent to its init.
    var sentSignals: Set<UInt8> = []
    /// Nobody took its output, and nobody is to.
    var isOutputLost = false
    /// Why the sandbox ends without its container having ended by itself.
    var failure: RuntimeError?
    /// It is being deleted.
    var isUnwanted = false
    /// That is why it ended.
    var isDeleted = false
    /// Answers owed to those who asked for the start.
    var startWaiters: [(ControlEvent) -> Void] = []
    /// Those who asked for a process that has not ended, or whose output they have not taken, by its number.
    var execs: [UInt32: ControlCaller] = [:]
    /// Where the numbers of its processes begin in the guest, and the last one that was given.
    var firstProcess: UInt32 = 0
    var lastProcess: UInt32 = 0
    /// Connections to sockets of the host, by their streams.
    var carried: [UInt32: CarriedConnection] = [:]
    var dialer: StreamDialer?
    /// Other containers in its guest, by their numbers.
    var members: [UInt32: SandboxMember] = [:]
    var nextMember: UInt32 = 0
    /// Its own container has ended and been written down, and it is there for the others in the guest only.
    var lingers = false
    /// The guest is on its way to a root of its own.
    var awaitsRoot = false
    /// All else is done.
    var waitsForExecs = false
    /// The init has ended, and all output is where it belongs.
    var isDone = false
    /// Those who asked to be told of events.
    var listeners: [ControlCaller] = []
    private var agentListener: SharedDescriptor?
    private var agentListenerToken: EventLoop.Token?
    var deadline: EventLoop.Token?
    var launcherToken: EventLoop.Token?
    let signals: SignalDescriptor
    /// The container's init, as the host sees it.
    let standIn: InitStandIn
    /// What its process has behind its stdio.
    let passed: [HostDescriptor]

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
        passed = try HostDescriptor.all(request.passed, from: LaunchRequest.Inherited.passed)
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
        try beginRecord()
        standIn.events = { [unowned self] in standInEvent($0) }
        if request.debug { console.follower = { [launcher] in launcher.send(.console(line: $0)) } }
        try loop.watch(signals.raw, .readable) { [unowned self] _ in takeSignals() }
        launcherToken = try loop.watch(launcher.channel.socket.raw, .readable) { [unowned self] in takeLauncher($0) }
        launcher.outgoing.awaitsRoom = { [unowned self] awaits in
            if let launcherToken { try? loop.change(launcherToken, to: awaits ? [.readable, .writable] : .readable) }
        }
        server = try ControlServer(loop: loop, directory: directory) { [unowned self] in handle($0, $1, $2) }
        if request.sandbox.isEmpty { try startMachine() } else { try joinSandbox() }
        timeline.mark(.hypervisorStarted)
        filter = SeccompFilter.compile(spec)
        deadline = loop.after(milliseconds: UInt64(request.bootTimeout) * 1000) { [unowned self] in
            let late = awaitsRoot ? "mount the image that is its root" : "call"
            failGuest("the guest's agent did not \(late) within \(request.bootTimeout) s")
        }
    }

    // MARK: The agent

    func listenForAgent() throws {
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

    func stopListening() {
        if let agentListenerToken { loop.unwatch(agentListenerToken) }
        agentListenerToken = nil
        agentListener = nil
        unlinkat(directory.descriptor.raw, VsockSocketName.fromGuest(port: AgentPort.control), 0)
    }

    func agentEvent(_ event: AgentLink.Event) {
        switch event {
        case .hello(let hello): welcome(hello)
        case .exited(let exit): processExited(exit)
        case .outOfMemory(let container, let count):
            if container == id.text {
                tellOfMemory(count)
            } else {
                _ = tellMember(container, .outOfMemory(container: container, count: count))
            }
        case .watching(let files): watch(files)
        case .socketOpened(let opened): carry(opened)
        case .lost(let reason):
            // The machine's end follows when the guest panicked or switched itself off, and knows more.
            guard phase < .ending else { return }
            loop.after(milliseconds: 500) { [weak self] in self?.failGuest("the guest is out of order: \(reason)") }
        }
    }
}

import AgentProtocol
import CLinux
import Cgroup
import Jail
import LinuxSys

/// The first process of the guest: does what the host asks, one event after the other, on one thread.
public final class Agent {
    let loop: EventLoop
    private let signals: SignalDescriptor
    private(set) var streams: StreamListener?
    private var control: ControlStream?
    private var isWelcome = false
    var containers: [String: Container] = [:]
    /// Directories where shares are mounted, by their tags.
    var shares: [String: String] = [:]
    /// Disks that are mounted, by their containers.
    var disks: [String: [GuestDisk]] = [:]
    /// Looks after files that are watched; one a container with binds.
    var scanners: [String: WatchScanner] = [:]
    /// The next connection to a socket of the host's.
    var socketStream = SocketOpened.first
    /// A container has the guest's network namespace.
    var networkIsGiven = false
    /// Its root is an image's.
    private var hasRoot = false
    /// Counts containers, for directories of their own.
    var made = 0
    let cgroups = CgroupTree()

    private init() throws(Errno) {
        loop = try EventLoop()
        signals = try SignalDescriptor([SIGCHLD])
    }

    /// Never returns: the guest ends with the agent.
    public static func main() -> Never {
        GuestConsole.trace("main")
        Signals.ignore(SIGPIPE)
        do throws(Errno) {
            let agent = try Agent()
            try agent.begin()
            try agent.loop.run()
        } catch {
            GuestConsole.say("\(error)")
        }
        Guest.settle()
        Guest.powerOff(shares: [])
    }

    private func begin() throws(Errno) {
        try loop.watch(signals.raw, .readable) { [self] _ in reap() }
        streams = try StreamListener(loop) { [self] id, stream in
            containers.values.contains { $0.attach(id, stream) }
        }
        GuestConsole.trace("listening")
        let control = try ControlStream(
            loop, receive: { [self] in receive($0) }, ended: { [self] in leave($0) })
        self.control = control
        GuestConsole.trace("connected")
        let hello = Hello(
            kernel: Guest.kernelRelease(), uptime: Clock.bootNanoseconds())
        control.send(.hello(hello))
        GuestConsole.trace("hello")
        // While the host answers.
        World.make()
    }

    private func leave(_ reason: String) {
        GuestConsole.say(reason)
        powerOff()
    }

    func powerOff() -> Never {
        Guest.settle()
        Guest.powerOff(shares: Array(shares.values))
    }

    /// The host ends the machine when it reads the answer; the guest does it by itself if the host doesn't.
    private func powerOff(answering request: UInt32) -> Never {
        Guest.settle()
        reply(.done, to: request)
        Guest.powerOff(shares: Array(shares.values))
    }

    // MARK: Requests

    private func receive(_ frame: Frame) {
        do throws(WireError) {
            let message = try HostMessage(frame)
            guard isWelcome else { return welcome(message) }
            if let answer = handle(message, request: frame.request) { reply(answer, to: frame.request) }
        } catch {
            reply(.failed(Failure(kind: .guest, message: "the request could not be read: \(error)")), to: frame.request)
        }
    }

    func reply(_ message: GuestMessage, to request: UInt32) { control?.send(message, request: request) }

    private func welcome(_ message: HostMessage) {
        guard case .welcome(let welcome) = message else { return leave("the host's first message is no welcome") }
        guard welcome.version == wireVersion else {
            return leave("the host speaks version \(welcome.version) of the wire, this agent version \(wireVersion)")
        }
        isWelcome = true
        _ = setClock(welcome.realtime)
        Guest.addEntropy(welcome.seed)
        GuestConsole.trace("welcome")
    }

    /// Carries out a request; nil: the answer follows later.
    private func handle(_ message: HostMessage, request: UInt32) -> GuestMessage? {
        switch message {
        case .welcome: return .failed(Failure(kind: .state, message: "a second welcome"))
        case .enterRoot(let disk): return answer(enterRoot(disk))
        case .create(let create): return self.create(create, request: request).map(GuestMessage.failed)
        case .start(let id):
            return with(id) { $0.start(request) }.map(GuestMessage.failed)
        case .exec(let exec):
            return with(exec.process.container) { container in
                container.exec(exec, request: request) { [self] in streams?.take($0) }
            }.map(GuestMessage.failed)
        case .signal(let signal): return answer(with(signal.process.container) { $0.send(signal) })
        case .resize(let size): return answer(with(size.process.container) { $0.resize(size) })
        case .freeze(let id, let frozen):
            return with(id) { [self] container in
                freeze(container, frozen, request: request)
                return nil
            }.map(GuestMessage.failed)
        case .update(let id, let settings): return asking(id) { [self] in update($0, settings) }
        case .listProcesses(let id): return asking(id) { [self] in list($0) }
        case .readCgroup(let id, let files): return asking(id) { [self] in read($0, files) }
        case .setClock(let nanoseconds): return answer(setClock(nanoseconds))
        case .fileChanged(let change):
            for share in shares.values { ChangeMaker.make(change, in: share) }
            return .done
        case .shutdown: powerOff(answering: request)
        }
    }

    private func answer(_ failure: Failure?) -> GuestMessage { failure.map(GuestMessage.failed) ?? .done }

    private func with(_ id: String, _ body: (Container) -> Failure?) -> Failure? {
        guard let container = containers[id] else {
            return Failure(kind: .state, message: "container \(id) does not exist in the guest")
        }
        return body(container)
    }

    private func asking(_ id: String, _ body: (Container) -> GuestMessage) -> GuestMessage {
        var answer = GuestMessage.done
        let failure = with(id) { container in
            answer = body(container)
            return nil
        }
        return failure.map(GuestMessage.failed) ?? answer
    }

    /// Once, and before anybody has a root that is made of the first one.
    private func enterRoot(_ disk: GuestDisk) -> Failure? {
        guard made == 0, !hasRoot else { return Failure(kind: .state, message: "the guest has its root") }
        hasRoot = true
        do throws(Failure) {
            try RootImage.enter(disk)
            return nil
        } catch {
            return error
        }
    }

    private func setClock(_ nanoseconds: UInt64) -> Failure? {
        do throws(Errno) {
            try Clock.setRealtime(nanoseconds: nanoseconds)
            return nil
        } catch {
            return Failure(kind: .guest, message: "setting the clock: \(error)")
        }
    }

    // MARK: Processes

    /// Every process of the guest that has lost its parent ends up here.
    private func reap() {
        while (try? signals.next()) != nil {}
        while let (pid, status) = try? Processes.reap() {
            for container in containers.values where container.reaped(pid, status) { break }
        }
    }
}

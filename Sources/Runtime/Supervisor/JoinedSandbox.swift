import AgentProtocol
import Glibc
import JSON
import LinuxSys
import StateStore
import VMDriver

/// Another container's guest, as the machine of one that has joined it.
final class JoinedSandbox: VirtualMachine {
    /// Ours among the containers of the guest.
    let number: UInt32
    let memoryMiB: Int
    let processes: [(name: String, pid: pid_t)]
    /// Where the agent is to be heard.
    let stream: SharedDescriptor
    private let owner: ContainerID
    private let channel: ControlChannel
    private let outgoing: OutgoingMessages
    private let loop: EventLoop
    private let events: (VMEvent) -> Void
    private var token: EventLoop.Token?
    /// Trees to be given to the guest; the first one has been asked for. One at a time: answers have no names.
    private var giving: [(tree: VMPlan.SharedTree, done: (VMError?) -> Void)] = []

    /// Joins the guest of `owner`; its supervisor answers at once, or refuses.
    init(
        _ owner: ContainerID, container: String, cgroup: HostCgroup, in store: StateStore, loop: EventLoop,
        events: @escaping (VMEvent) -> Void
    ) throws(RuntimeError) {
        self.owner = owner
        self.loop = loop
        self.events = events
        do {
            let directory = try FileDescriptor.directory(store.directory(of: owner))
            channel = ControlChannel(try Sockets.connect(to: ControlServer.name, in: directory, .packets))
            outgoing = OutgoingMessages(channel.socket)
            let (ours, theirs) = try Sockets.pair().split()
            stream = SharedDescriptor(FileDescriptor(owning: ours))
            let other = FileDescriptor(owning: theirs)
            channel.send(ControlRequest.join(container: container, cgroup).json, descriptors: [other.raw])
            let fields = try JSONCursor(try Self.answer(on: channel, owner) ?? .null).object()
            number = try fields["number"].int(in: 1...SandboxMember.most)
            memoryMiB = try fields["memoryMiB"].int()
            let pids: [String: pid_t] = try fields["processes"].map { cursor throws(JSONFieldError) in try cursor.int()
            }
            processes = pids.map { ($0.key, $0.value) }
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("joining the guest of \(owner): \(error)")
        }
    }

    /// The value that comes before `done`.
    private static func answer(on channel: ControlChannel, _ owner: ContainerID) throws -> JSONValue? {
        var value: JSONValue?
        while let message = try channel.receive() {
            switch try ControlEvent(decoding: message) {
            case .value(let given): value = given
            case .failed(let message, let code, _): throw RuntimeError(message, exitCode: code)
            default: return value
            }
        }
        throw RuntimeError("joining the guest of \(owner): its supervisor ended before it answered")
    }

    /// Gives the guest a tree, and waits until it has it.
    func give(_ tree: VMPlan.SharedTree) throws(RuntimeError) {
        ask(.share(tree))
        do { _ = try Self.answer(on: channel, owner) } catch {
            throw RuntimeError("can't share \(tree.words) with the guest of \(owner): \(error)")
        }
    }

    /// From now on the end of the guest is told.
    func watch() throws(Errno) {
        try channel.socket.descriptor.setNonBlocking()
        token = try loop.watch(channel.socket.raw, .readable) { [weak self] in self?.take($0) }
        outgoing.awaitsRoom = { [weak self] awaits in
            guard let self, let token else { return }
            try? self.loop.change(token, to: awaits ? [.readable, .writable] : .readable)
        }
    }

    private func ask(_ request: ControlRequest) { outgoing.send(request.json.bytes()) }

    private func take(_ ready: ReadyEvents) {
        if ready.contains(.writable) { outgoing.flush() }
        guard ready != .writable else { return }
        do throws(Errno) {
            if let answer = try channel.receive() { return take(answer) }
        } catch .wouldBlock {
            return
        } catch {}
        guard token != nil else { return }
        kill()
        events(.ended(.guestLeft(owner: owner.text)))
    }

    func kill() {
        if let token { loop.unwatch(token) }
        token = nil
        // The supervisor at the other end takes it for our farewell.
        _ = shutdown(channel.socket.raw, CInt(SHUT_RDWR))
    }

    var processorTimes: [(name: String, microseconds: UInt64)] { [] }
    func share(_ tree: VMPlan.SharedTree, done: @escaping (VMError?) -> Void) {
        guard token != nil else { return done(VMError("the guest of \(owner) has ended")) }
        giving.append((tree, done))
        if giving.count == 1 { ask(.share(tree)) }
    }

    private func take(_ answer: JSONValue) {
        guard let first = giving.first, let event = try? ControlEvent(decoding: answer) else { return }
        let failure: VMError?
        switch event {
        case .done: failure = nil
        case .failed(let message, _, _): failure = VMError(message)
        default: return
        }
        giving.removeFirst()
        if let next = giving.first { ask(.share(next.tree)) }
        first.done(failure)
    }

    // The owner of the guest takes the others back when we leave.
    func unshare(tree: String) { ask(.unshare(tree)) }
    func watch(tree: String, inodes: [UInt64]) {}
    func fileChangeHandled() {}
}

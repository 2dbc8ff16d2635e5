import Glibc
import LinuxSys
import VMDriver

/// Somebody who is connected to a supervisor's control socket.
final class ControlCaller {
    private let channel: ControlChannel
    /// What it has not taken yet.
    fileprivate let outgoing: OutgoingMessages
    /// Its process, if it asked for one.
    var process: UInt32?
    /// It has asked for one, whatever came of it: what it says is never meant for the init.
    var hasAsked = false
    /// Its pid; nil if it has gone already.
    var pid: pid_t? { try? Sockets.peerProcess(channel.socket.descriptor) }
    /// What the guest has of its descriptors for that process.
    var trees: [VMPlan.SharedTree] = []
    /// Its number, if it is the supervisor of another container in the guest.
    var member: UInt32?
    /// Called when it has gone.
    var gone: () -> Void = {}

    var raw: CInt { channel.socket.raw }

    init(_ channel: ControlChannel) {
        self.channel = channel
        outgoing = OutgoingMessages(channel.socket)
    }

    func send(_ event: ControlEvent) { outgoing.send(event.json.bytes()) }

    fileprivate func receive() throws -> (ControlRequest, SharedDescriptor?)? {
        guard let (value, descriptor) = try channel.receiveAll() else { return nil }
        return (try ControlRequest(decoding: value), descriptor)
    }
}

/// The supervisor's socket for other commands (`start`, `exec`, `kill`, `delete`, …).
final class ControlServer {
    typealias Handler = (ControlRequest, ControlCaller, SharedDescriptor?) -> Void

    static let name = "control.sock"
    /// Callers that are connected at one time (each exec is one for as long as it runs); more are turned away.
    static let mostCallers = 2048

    private let loop: EventLoop
    private let directory: SandboxDirectory
    private let listener: SharedDescriptor
    private let handler: Handler
    private var token: EventLoop.Token?
    private var callers: [EventLoop.Token: ControlCaller] = [:]

    init(loop: EventLoop, directory: SandboxDirectory, handler: @escaping Handler) throws(Errno) {
        self.loop = loop
        self.directory = directory
        self.handler = handler
        listener = SharedDescriptor(
            try Sockets.listen(at: Self.name, in: directory.descriptor.descriptor, .packets))
        token = try loop.watch(listener.raw, .readable) { [weak self] _ in self?.accept() }
    }

    private func accept() {
        guard let socket = try? Sockets.accept(listener.descriptor), callers.count < Self.mostCallers else { return }
        let caller = ControlCaller(ControlChannel(socket))
        var own: EventLoop.Token = 0
        guard let token = try? loop.watch(caller.raw, .readable, { [weak self] in self?.take(own, $0) }) else { return }
        own = token
        caller.outgoing.awaitsRoom = { [loop] awaits in
            try? loop.change(token, to: awaits ? [.readable, .writable] : .readable)
        }
        callers[token] = caller
    }

    private func take(_ token: EventLoop.Token, _ ready: ReadyEvents) {
        guard let caller = callers[token] else { return }
        if ready.contains(.writable) { caller.outgoing.flush() }
        guard ready != .writable else { return }
        do {
            guard let (request, descriptor) = try caller.receive() else { return drop(token) }
            handler(request, caller, descriptor)
        } catch let error as Errno where error == .wouldBlock {
        } catch {
            drop(token)
        }
    }

    private func drop(_ token: EventLoop.Token) {
        loop.unwatch(token)
        callers.removeValue(forKey: token)?.gone()
    }

    func close() {
        if let token { loop.unwatch(token) }
        token = nil
        unlinkat(directory.descriptor.raw, Self.name, 0)
    }
}

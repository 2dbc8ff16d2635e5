import AgentProtocol
import CLinux
import LinuxSys

/// Unix sockets of the host that a container has: each has a socket of the guest in its place, and whoever connects to
/// that is carried to the host over a stream of its own. Bytes pass and ends do; descriptors and credentials do not.
final class SocketRelays {
    /// Connections of a container at one time.
    private static let most = 256
    private static let backlog: CInt = 64
    /// Milliseconds that the host has to open a connection's stream.
    private static let patience: UInt64 = 10_000

    private final class Connection {
        let local: SharedDescriptor
        var relays: [Relay] = []

        init(_ local: SharedDescriptor) { self.local = local }
    }

    /// Where the sockets are, each by the number of its mount.
    let directory: String
    private let loop: EventLoop
    private let number: () -> UInt32
    private let opened: (_ socket: UInt32, _ stream: UInt32) -> Void
    private var listeners: [(socket: SharedDescriptor, token: EventLoop.Token)] = []
    private var connections: [UInt32: Connection] = [:]

    /// - Parameters:
    ///   - number: gives a stream's number that no other has.
    ///   - opened: tells the host of a connection, whose stream it is to open.
    init(
        _ loop: EventLoop, in directory: String, _ sockets: [SocketBind], number: @escaping () -> UInt32,
        opened: @escaping (_ socket: UInt32, _ stream: UInt32) -> Void
    ) throws(Errno) {
        self.loop = loop
        self.directory = directory
        self.number = number
        self.opened = opened
        if sockets.isEmpty { return }
        _ = try once { mkdir(directory, 0o755) }
        let place = try FileDescriptor.directory(directory)
        for bind in sockets {
            let name = "\(bind.mount)"
            let socket = SharedDescriptor(try Sockets.listen(at: name, in: place, backlog: Self.backlog))
            _ = try once { fchmodat(place.raw, name, bind.mode, 0) }
            _ = try once { fchownat(place.raw, name, bind.uid, bind.gid, 0) }
            let token = try loop.watch(socket.raw, .readable) { [self] _ in accept(socket, bind.mount) }
            listeners.append((socket, token))
        }
    }

    private func accept(_ listener: SharedDescriptor, _ socket: UInt32) {
        guard let local = try? Sockets.accept(listener.descriptor) else { return }
        // Who can't be served sees the connection close.
        guard connections.count < Self.most, (try? local.setNonBlocking()) != nil else { return }
        let stream = number()
        connections[stream] = Connection(SharedDescriptor(local))
        loop.after(milliseconds: Self.patience) { [self] in
            if connections[stream]?.relays.isEmpty == true { connections[stream] = nil }
        }
        opened(socket, stream)
    }

    /// Takes a stream of the host; false if no connection waits for it.
    func attach(_ stream: UInt32, _ remote: SharedDescriptor) -> Bool {
        guard let connection = connections[stream], connection.relays.isEmpty else { return false }
        do throws(Errno) {
            try remote.descriptor.setNonBlocking()
            // A descriptor is watched once only: each direction has its own.
            let inward = SharedDescriptor(try remote.descriptor.duplicate())
            let local = SharedDescriptor(try connection.local.descriptor.duplicate())
            let finished = { [self] in finish(stream) }
            connection.relays = [
                try Relay(loop, from: connection.local, to: remote, ending: .shutdown, finished: finished),
                try Relay(loop, from: inward, to: local, ending: .shutdown, finished: finished),
            ]
        } catch {
            close(stream)
        }
        return true
    }

    private func finish(_ stream: UInt32) {
        guard let connection = connections[stream], connection.relays.allSatisfy({ $0.isFinished }) else { return }
        connections[stream] = nil
    }

    private func close(_ stream: UInt32) {
        for relay in connections.removeValue(forKey: stream)?.relays ?? [] { relay.cancel() }
    }

    /// Ends them all.
    func close() {
        for listener in listeners { loop.unwatch(listener.token) }
        listeners = []
        for stream in Array(connections.keys) { close(stream) }
        for name in (try? File.list(directory)) ?? [] { unlink(directory + "/" + name) }
        rmdir(directory)
    }
}

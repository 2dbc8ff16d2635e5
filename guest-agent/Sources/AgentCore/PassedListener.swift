import AgentProtocol
import CLinux
import LinuxSys

/// A socket that a process was handed to listen on. Whoever connects to the real one on the host comes as a stream, and from
/// here as a connection to this one, whose name only the agent can reach.
final class PassedListener {
    /// Connections at one time.
    private static let most = 256
    private static let backlog: CInt = 128
    /// Milliseconds that those who are connected have to take what the process wrote before it ended.
    private static let patience: UInt64 = 5000

    private final class Connection {
        var inward: Relay?
        var outward: Relay?
        var isFinished: Bool { (inward?.isFinished ?? true) && (outward?.isFinished ?? true) }
    }

    private let loop: EventLoop
    /// The socket's.
    private let name: String
    private var connections: [Connection] = []
    private var isDraining = false
    /// Called when there is news of `isDrained`.
    var changed: () -> Void = {}

    /// - Parameter stream: its number, which no other of these has.
    /// - Returns: with it the socket, which is the process's alone: when that has closed it, nobody gets through.
    static func make(
        _ loop: EventLoop, stream: UInt32
    ) throws(Errno) -> (listener: PassedListener, socket: SharedDescriptor) {
        let name = "\(stream)"
        // Of one whose making failed.
        unlink("\(World.passed)/\(name)")
        let socket = try Sockets.listen(at: name, in: try FileDescriptor.directory(World.passed), backlog: backlog)
        // Those who are handed a socket wait in accept(2).
        try socket.setNonBlocking(false)
        return (PassedListener(loop, name), SharedDescriptor(socket))
    }

    private init(_ loop: EventLoop, _ name: String) {
        self.loop = loop
        self.name = name
    }

    /// Carries a stream of the host to the process. One that it does not take, because it has closed the socket or is too
    /// slow, is closed.
    func connect(_ remote: SharedDescriptor) {
        connections.removeAll { $0.isFinished }
        // Another process may still have the socket; it is this one's that was handed over.
        guard !isDraining, connections.count < Self.most else {
            try? Sockets.shutdownBoth(remote.descriptor)
            return
        }
        do throws(Errno) {
            let local = SharedDescriptor(try Sockets.connectNow(to: "\(World.passed)/\(name)"))
            try remote.descriptor.setNonBlocking()
            let connection = Connection()
            // A descriptor is watched once only: each direction has its own.
            let source = SharedDescriptor(try remote.descriptor.duplicate())
            let sink = SharedDescriptor(try local.descriptor.duplicate())
            let finished = { [self] in changed() }
            connection.inward = try Relay(loop, from: source, to: sink, ending: .shutdown, finished: finished)
            connection.outward = try Relay(loop, from: local, to: remote, ending: .shutdown, finished: finished)
            connections.append(connection)
        } catch {
            // The host sees its end close.
            try? Sockets.shutdownBoth(remote.descriptor)
        }
    }

    /// The process is gone: what it wrote is still handed on.
    func drain() {
        isDraining = true
        for connection in connections {
            connection.inward?.cancel()
            if connection.outward?.isFinished == false { connection.outward?.drain() }
        }
        if isDrained { return }
        // Whoever is at the other end may not keep the container from ending.
        loop.after(milliseconds: Self.patience) { [self] in
            for connection in connections { connection.outward?.cancel() }
            changed()
        }
    }

    var isDrained: Bool { connections.allSatisfy { $0.outward?.isFinished ?? true } }

    func close() {
        for connection in connections {
            connection.inward?.cancel()
            connection.outward?.cancel()
        }
        connections = []
        unlink("\(World.passed)/\(name)")
        changed = {}
    }
}

extension PassedDescriptor.Device {
    var path: String {
        switch self {
        case .null: "/dev/null"
        case .zero: "/dev/zero"
        case .full: "/dev/full"
        case .random: "/dev/random"
        case .urandom: "/dev/urandom"
        }
    }
}

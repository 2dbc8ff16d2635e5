import Glibc
import LinuxSys

/// The caller's descriptors that a process has, each carried by streams of the agent, or none for what the guest has by
/// itself.
final class PassedRelays {
    /// Connections to listening sockets at one time: six descriptors each. Others wait in the kernel.
    private static let mostConnections = 256
    /// Milliseconds that those who are connected have to take what a process that has ended has written to them. They are
    /// anybody, and nobody may keep a container from ending.
    private static let patience: UInt64 = 5000
    /// Descriptors of a process that has a listening socket.
    static let mostDescriptors: UInt64 = 4096

    private let loop: EventLoop
    private let dialer: StreamDialer
    /// What the process may still write; by an index of our own.
    private var outputs: Set<Int> = []
    private var relays: [Int: Relay] = [:]
    private var last = 0
    private var listeners: [Listener] = []
    private var connections: [Int: Connection] = [:]
    private var isListening = false
    /// Called when `isDelivered` has become true.
    var delivered: () -> Void = {}
    var failed: (RuntimeError) -> Void = { _ in }

    private final class Listener {
        let socket: SharedDescriptor
        let stream: UInt32
        /// Of open(2), as the caller had them.
        let flags: CInt
        var token: EventLoop.Token?

        init(_ socket: SharedDescriptor, _ stream: UInt32, flags: CInt) {
            self.socket = socket
            self.stream = stream
            self.flags = flags
        }
    }

    /// Of a listening socket; it counts until both directions have ended.
    private final class Connection {
        var isOpen = (inward: true, outward: true)
    }

    init(loop: EventLoop, dialer: StreamDialer) {
        self.loop = loop
        self.dialer = dialer
    }

    /// All that the process has written is where it belongs.
    var isDelivered: Bool { outputs.isEmpty }

    /// Takes descriptor `number`, which is closed with its last use.
    func open(_ kind: HostDescriptor, _ number: CInt, stream: UInt32) {
        do throws(Errno) {
            switch kind {
            case .file, .device: close(number)
            case .listener: try listen(FileDescriptor(owning: number), stream)
            case .reader:
                let source = try Endpoint.inherited(number, writing: false)
                close(number)
                dial(stream) { [unowned self] remote throws(Errno) in try inward(source, remote) }
            case .writer:
                let sink = try Endpoint.inherited(number, writing: true)
                close(number)
                let output = promise()
                dial(stream) { [unowned self] remote throws(Errno) in
                    try outward(remote, sink, output) { _ in }
                }
            case .socket:
                let socket = SharedDescriptor(FileDescriptor(owning: number))
                let output = promise()
                dial(stream) { [unowned self] remote throws(Errno) in try join(socket, remote, output) }
            }
        } catch {
            failed(RuntimeError("--preserve-fds: \(error)"))
        }
    }

    private func listen(_ socket: consuming FileDescriptor, _ stream: UInt32) throws(Errno) {
        let flags = fcntl(socket.raw, F_GETFL)
        // Others may take a connection that this one was woken for.
        try socket.setNonBlocking()
        // Where the limit can't be raised, accept(2) says when there is no room.
        try? ProcessControl.allowDescriptors(Self.mostDescriptors)
        listeners.append(Listener(SharedDescriptor(socket), stream, flags: flags))
    }

    /// The process is there: connections can be carried to it.
    func startListening() {
        isListening = true
        for listener in listeners { watch(listener) }
    }

    private func watch(_ listener: Listener) {
        guard isListening, listener.token == nil, connections.count < Self.mostConnections else { return }
        listener.token = try? loop.watch(listener.socket.raw, .readable) { [unowned self, unowned listener] _ in
            accept(listener)
        }
    }

    private func pause(_ listener: Listener) {
        if let token = listener.token { loop.unwatch(token) }
        listener.token = nil
    }

    private func accept(_ listener: Listener) {
        let socket: SharedDescriptor
        do throws(Errno) {
            guard let accepted = try Sockets.accept(listener.socket.descriptor) else { return }
            socket = SharedDescriptor(accepted)
        } catch {
            // No descriptors, most likely: it would be told again at once.
            pause(listener)
            loop.after(milliseconds: 100) { [weak self, weak listener] in if let listener { self?.watch(listener) } }
            return
        }
        let output = promise()
        let connection = Connection()
        connections[output] = connection
        if connections.count >= Self.mostConnections { for listener in listeners { pause(listener) } }
        dialer.open(stream: listener.stream) { [weak self] result in
            guard let self, connections[output] === connection else { return }
            do throws(Errno) {
                guard case .success(let remote) = result else { throw .connectionRefused }
                try join(socket, remote, output, connection)
            } catch {
                // One direction may have begun: who is at the other end is to see that there is nobody.
                try? Sockets.shutdownBoth(socket.descriptor)
                forget(output)
                keep(output)
            }
        }
    }

    private func forget(_ output: Int) {
        connections[output] = nil
        for listener in listeners { watch(listener) }
    }

    private func dial(_ stream: UInt32, _ connected: @escaping (SharedDescriptor) throws(Errno) -> Void) {
        dialer.open(stream: stream) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let remote):
                do throws(Errno) { try connected(remote) } catch { failed(RuntimeError("--preserve-fds: \(error)")) }
            case .failure(let error): failed(error)
            }
        }
    }

    /// Both directions of a socket.
    private func join(
        _ socket: SharedDescriptor, _ remote: SharedDescriptor, _ output: Int, _ connection: Connection? = nil
    ) throws(Errno) {
        func ended() {
            if let connection, !connection.isOpen.inward, !connection.isOpen.outward { forget(output) }
        }
        try inward(Endpoint.inherited(socket.raw, writing: false), remote) {
            connection?.isOpen.inward = false
            ended()
        }
        try outward(remote, Endpoint.inherited(socket.raw, writing: true), output) { finished in
            if finished { try? Sockets.shutdownWriting(socket.descriptor) }
            connection?.isOpen.outward = false
            ended()
        }
    }

    private func inward(
        _ source: Endpoint, _ remote: SharedDescriptor, ended: @escaping () -> Void = {}
    ) throws(Errno) {
        let number = next()
        // The other end may close while nothing comes: then nobody is to wait for what would.
        relays[number] = try Relay(
            loop: loop, from: source, to: Endpoint(own: remote.descriptor.duplicate()), watchesSink: true
        ) { [weak self] end in
            if end == .finished { try? Sockets.shutdownWriting(remote.descriptor) }
            // Nobody reads any more: the host's writer learns it when the last descriptor goes.
            self?.relays[number] = nil
            ended()
        }
    }

    private func outward(
        _ remote: SharedDescriptor, _ sink: Endpoint, _ output: Int, ended: @escaping (_ finished: Bool) -> Void
    ) throws(Errno) {
        relays[output] = try Relay(loop: loop, from: Endpoint(own: remote.descriptor.duplicate()), to: sink) {
            [weak self] end in
            ended(end == .finished)
            // The process gets its SIGPIPE.
            if end == .sinkGone { try? Sockets.shutdownBoth(remote.descriptor) }
            self?.keep(output)
        }
    }

    private func next() -> Int {
        last += 1
        return last
    }

    private func promise() -> Int {
        let output = next()
        outputs.insert(output)
        return output
    }

    /// The promise is kept, or can't be.
    private func keep(_ output: Int) {
        relays[output] = nil
        guard outputs.remove(output) != nil else { return }
        if outputs.isEmpty { delivered() }
    }

    /// The process has ended: nobody connects to it any more, and who is connected has little time left.
    func stopListening() {
        isListening = false
        for listener in listeners {
            pause(listener)
            // The flag is that of all who have the socket.
            if listener.flags >= 0 { _ = fcntl(listener.socket.raw, F_SETFL, listener.flags) }
        }
        listeners = []
        if connections.isEmpty { return }
        loop.after(milliseconds: Self.patience) { [weak self] in self?.dropConnections() }
    }

    private func dropConnections() {
        for output in Array(connections.keys) {
            relays[output]?.stop()
            connections[output] = nil
            keep(output)
        }
    }

    func close() {
        stopListening()
        for relay in relays.values { relay.stop() }
        relays = [:]
        connections = [:]
        outputs = []
    }

    private func close(_ number: CInt) { _ = Glibc.close(number) }
}

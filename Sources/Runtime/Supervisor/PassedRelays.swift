import Glibc
import LinuxSys

/// The caller's descriptors that a process has, each carried by streams of the agent, or none for what the guest has by
/// itself.
final class PassedRelays {
    /// Connections to one listening socket at one time.
    private static let mostConnections = 256

    private let loop: EventLoop
    private let dialer: StreamDialer
    /// What the process may still write; by an index of our own.
    private var outputs: Set<Int> = []
    private var relays: [Int: Relay] = [:]
    private var last = 0
    private var listeners: [(socket: SharedDescriptor, token: EventLoop.Token)] = []
    private var connections = 0
    /// Called when `isDelivered` has become true.
    var delivered: () -> Void = {}
    var failed: (RuntimeError) -> Void = { _ in }

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
                    try outward(remote, sink, output) {}
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
        let socket = SharedDescriptor(socket)
        // Others may take a connection that this one was woken for.
        try socket.descriptor.setNonBlocking()
        let token = try loop.watch(socket.raw, .readable) { [unowned self] _ in accept(socket, stream) }
        listeners.append((socket, token))
    }

    private func accept(_ listener: SharedDescriptor, _ stream: UInt32) {
        guard let accepted = try? Sockets.accept(listener.descriptor) else { return }
        // More than that are closed, so that who waits for an answer knows.
        guard connections < Self.mostConnections else { return }
        connections += 1
        let socket = SharedDescriptor(accepted)
        let output = promise()
        dialer.open(stream: stream) { [weak self] result in
            guard let self else { return }
            do throws(Errno) {
                guard case .success(let remote) = result else { throw .connectionRefused }
                try join(socket, remote, output) { [weak self] in self?.connections -= 1 }
            } catch {
                connections -= 1
                keep(output)
            }
        }
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
        _ socket: SharedDescriptor, _ remote: SharedDescriptor, _ output: Int, done: @escaping () -> Void = {}
    ) throws(Errno) {
        try inward(Endpoint.inherited(socket.raw, writing: false), remote)
        try outward(remote, Endpoint.inherited(socket.raw, writing: true), output) {
            try? Sockets.shutdownWriting(socket.descriptor)
            done()
        }
    }

    private func inward(_ source: Endpoint, _ remote: SharedDescriptor) throws(Errno) {
        let number = next()
        relays[number] = try Relay(loop: loop, from: source, to: Endpoint(own: remote.descriptor.duplicate())) {
            [weak self] end in
            if end == .finished { try? Sockets.shutdownWriting(remote.descriptor) }
            // Nobody reads any more: the host's writer learns it when the last descriptor goes.
            self?.relays[number] = nil
        }
    }

    private func outward(
        _ remote: SharedDescriptor, _ sink: Endpoint, _ output: Int, finished: @escaping () -> Void
    ) throws(Errno) {
        relays[output] = try Relay(loop: loop, from: Endpoint(own: remote.descriptor.duplicate()), to: sink) {
            [weak self] end in
            if end == .finished { finished() }
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

    /// The process has ended: nobody connects to it any more.
    func stopListening() {
        for listener in listeners { loop.unwatch(listener.token) }
        listeners = []
    }

    func close() {
        stopListening()
        for relay in relays.values { relay.stop() }
        relays = [:]
        outputs = []
    }

    private func close(_ number: CInt) { _ = Glibc.close(number) }
}

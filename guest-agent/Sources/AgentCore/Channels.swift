import AgentProtocol
import CLinux
import Jail
import LinuxSys

/// The stdio of one process, and what else it was handed: the ends in the guest, the streams to the host, and the relays in
/// between.
final class Channels {
    private enum Direction {
        case input, output
        /// A terminal.
        case both
        /// A socket.
        case duplex
    }

    private struct Channel {
        let stream: UInt32
        let direction: Direction
        /// The agent's end: of a pipe, or the terminal's master once the child has made it.
        var local: SharedDescriptor?
        var remote: SharedDescriptor?
        /// Whether its relays run, or ran.
        var isJoined = false
    }

    private static let pipeBytes: CInt = 256 << 10

    private let loop: EventLoop
    private var channels: [Channel] = []
    private var inputs: [Relay] = []
    private var outputs: [Relay] = []
    /// Connections to the sockets that the process listens on, by their stream.
    private var listeners: [UInt32: PassedListener] = [:]
    /// The container's ends, held until the child has them: stdin, stdout, stderr; nil is /dev/null.
    private(set) var ends: [SharedDescriptor?] = [nil, nil, nil]
    /// The same of what it has behind those.
    private(set) var passedEnds: [PassedEnd] = []
    private(set) var terminal: SharedDescriptor?
    /// Called when a relay has come to its end.
    var changed: () -> Void = {}

    /// - Parameter share: where the share is mounted.
    init(
        _ loop: EventLoop, _ stdio: Stdio, _ passed: [PassedDescriptor] = [], share: String = ""
    ) throws(Errno) {
        self.loop = loop
        do throws(Errno) {
            switch stdio {
            case .terminal(let stream, _, _): channels = [Channel(stream: stream, direction: .both)]
            case .pipes(let stdin, let stdout, let stderr):
                if let stdin { ends[0] = try addPipe(stdin, .input) }
                if let stdout { ends[1] = try addPipe(stdout, .output) }
                if let stderr { ends[2] = try addPipe(stderr, .output) }
            }
            for descriptor in passed { passedEnds.append(try add(descriptor, share)) }
        } catch {
            close()
            throw error
        }
    }

    /// The container's end of a new pipe.
    private func addPipe(_ stream: UInt32, _ direction: Direction) throws(Errno) -> SharedDescriptor {
        let (reader, writer) = try Pipe.make()
        let local = direction == .input ? writer : reader
        try local.descriptor.setNonBlocking()
        // Room for several writes, or writer and agent take turns for each.
        if direction != .input { _ = clinux_set_pipe_bytes(local.raw, Self.pipeBytes) }
        channels.append(Channel(stream: stream, direction: direction, local: local))
        return direction == .input ? reader : writer
    }

    private func add(_ passed: PassedDescriptor, _ share: String) throws(Errno) -> PassedEnd {
        switch passed {
        case .reader(let stream): return .descriptor(try addPipe(stream, .input))
        case .writer(let stream): return .descriptor(try addPipe(stream, .output))
        case .socket(let stream):
            let pair = try Sockets.pair()
            let local = SharedDescriptor(try pair.second.duplicate())
            try local.descriptor.setNonBlocking()
            channels.append(Channel(stream: stream, direction: .duplex, local: local))
            return .descriptor(SharedDescriptor(try pair.first.duplicate()))
        case .listener(let stream):
            let (listener, socket) = try PassedListener.make(loop, stream: stream)
            listener.changed = { [self] in changed() }
            listeners[stream] = listener
            return .descriptor(socket)
        // Opened by the child: the device takes it for a change of the container's, which it is.
        case .file(let name, let flags, let offset):
            return .file(path: "\(share)/\(name)", flags: flags, offset: offset)
        case .device(let device):
            return .descriptor(SharedDescriptor(try FileDescriptor.open(device.path, O_RDWR)))
        }
    }

    /// The streams that the host has not opened yet.
    var missing: [UInt32] { channels.filter { $0.remote == nil }.map { $0.stream } }

    /// The child has its copies: the agent lets go of the container's ends, or it would never see the end of one.
    func releaseEnds() {
        ends = [nil, nil, nil]
        passedEnds = []
    }

    /// Takes a stream that is missing; false if it is none of ours.
    func attach(_ stream: UInt32, _ remote: SharedDescriptor) throws(Errno) -> Bool {
        if let listener = listeners[stream] {
            listener.connect(remote)
            return true
        }
        guard let index = channels.firstIndex(where: { $0.stream == stream && $0.remote == nil }) else { return false }
        channels[index].remote = remote
        try join(index)
        return true
    }

    /// Takes the master of the container's terminal.
    func attach(terminal master: SharedDescriptor) throws(Errno) {
        try master.descriptor.setNonBlocking()
        terminal = master
        for index in channels.indices where channels[index].direction == .both {
            channels[index].local = master
            try join(index)
        }
    }

    func resize(rows: UInt16, columns: UInt16) throws(Errno) {
        guard let terminal else { throw .notTerminal }
        _ = try once { clinux_set_window_size(terminal.raw, rows, columns) }
    }

    private func join(_ index: Int) throws(Errno) {
        let channel = channels[index]
        guard let local = channel.local, let remote = channel.remote, !channel.isJoined else { return }
        channels[index].isJoined = true
        channels[index].local = nil
        switch channel.direction {
        case .input: inputs.append(try relay(from: remote, to: local, .close))
        case .output: outputs.append(try relay(from: local, to: remote, .shutdown))
        case .both:
            // A descriptor is watched once only: each direction has its own.
            let inward = SharedDescriptor(try remote.descriptor.duplicate())
            let master = SharedDescriptor(try local.descriptor.duplicate())
            inputs.append(try relay(from: inward, to: master, .keep))
            outputs.append(try relay(from: local, to: remote, .shutdown))
        case .duplex:
            let inward = SharedDescriptor(try remote.descriptor.duplicate())
            let sink = SharedDescriptor(try local.descriptor.duplicate())
            inputs.append(try relay(from: inward, to: sink, .shutdown))
            outputs.append(try relay(from: local, to: remote, .shutdown))
        }
    }

    private func relay(
        from source: SharedDescriptor, to sink: SharedDescriptor, _ ending: Relay.Ending
    ) throws(Errno) -> Relay {
        try Relay(loop, from: source, to: sink, ending: ending) { [self] in changed() }
    }

    /// The container has no process left: what it wrote is still handed on, what it hasn't read is dropped.
    func drain() {
        for relay in inputs { relay.cancel() }
        for listener in listeners.values { listener.drain() }
        for relay in outputs where !relay.isFinished { relay.drain() }
    }

    var isDrained: Bool {
        outputs.allSatisfy { $0.isFinished } && listeners.values.allSatisfy { $0.isDrained }
    }

    /// Closes everything.
    func close() {
        for relay in inputs + outputs { relay.cancel() }
        for listener in listeners.values { listener.close() }
        inputs = []
        outputs = []
        channels = []
        listeners = [:]
        terminal = nil
        changed = {}
        releaseEnds()
    }
}

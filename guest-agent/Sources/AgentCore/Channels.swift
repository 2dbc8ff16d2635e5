import AgentProtocol
import CLinux
import LinuxSys

/// The stdio of one container: the ends in the guest, the streams to the host, and the relays in between.
final class Channels {
    private enum Direction { case input, output, both }

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
    /// The container's ends, held until the child has them: stdin, stdout, stderr; nil is /dev/null.
    private(set) var ends: [SharedDescriptor?] = [nil, nil, nil]
    private(set) var terminal: SharedDescriptor?
    /// Called when a relay has come to its end.
    var changed: () -> Void = {}

    init(_ loop: EventLoop, _ stdio: Stdio) throws(Errno) {
        self.loop = loop
        switch stdio {
        case .terminal(let stream, _, _): channels = [Channel(stream: stream, direction: .both)]
        case .pipes(let stdin, let stdout, let stderr):
            if let stdin { try addPipe(stdin, end: 0) }
            if let stdout { try addPipe(stdout, end: 1) }
            if let stderr { try addPipe(stderr, end: 2) }
        }
    }

    private func addPipe(_ stream: UInt32, end: Int) throws(Errno) {
        let (reader, writer) = try Pipe.make()
        let local = end == 0 ? writer : reader
        ends[end] = end == 0 ? reader : writer
        try local.descriptor.setNonBlocking()
        // Room for several writes, or writer and agent take turns for each.
        if end != 0 { _ = clinux_set_pipe_bytes(local.raw, Self.pipeBytes) }
        channels.append(Channel(stream: stream, direction: end == 0 ? .input : .output, local: local))
    }

    /// The streams that the host has not opened yet.
    var missing: [UInt32] { channels.filter { $0.remote == nil }.map { $0.stream } }

    /// The child has its copies: the agent lets go of the container's ends, or it would never see the end of one.
    func releaseEnds() { ends = [nil, nil, nil] }

    /// Takes a stream that is missing; false if it is none of ours.
    func attach(_ stream: UInt32, _ remote: SharedDescriptor) throws(Errno) -> Bool {
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
        for relay in outputs where !relay.isFinished { relay.drain() }
    }

    var isDrained: Bool { outputs.allSatisfy { $0.isFinished } }

    /// Closes everything.
    func close() {
        for relay in inputs + outputs { relay.cancel() }
        inputs = []
        outputs = []
        channels = []
        terminal = nil
        changed = {}
        releaseEnds()
    }
}

import AgentProtocol
import Glibc
import LinuxSys
import OCISpec

/// A process's stdin, stdout and stderr, or its terminal: the caller's descriptors 0, 1 and 2 (or a pty whose master
/// goes to a console socket), each relayed to a stream of the agent; and with them what else the process was handed.
final class ProcessStdio {
    enum Event {
        case firstByte
        /// All output has been written, or nobody wants it any more.
        case delivered
        case failed(RuntimeError)
    }

    let plan: Stdio
    var events: (Event) -> Void = { _ in }
    private let loop: EventLoop
    private let dialer: StreamDialer
    private let streams: StdioStreams
    private let hostTerminal: HostTerminal?
    private var relays: [Relay] = []
    /// Output streams that have not ended.
    private var outputs: Set<UInt32>
    private var firstByteSeen = false
    private let passed: [HostDescriptor]
    /// Where those are in this process.
    private let firstPassed: CInt
    private let passedRelays: PassedRelays

    /// - Parameters:
    ///   - number: the process's in its sandbox.
    ///   - consoleSocket: whether the terminal's master goes to the inherited socket.
    ///   - passed: what the descriptors from `firstPassed` on are, which this object takes.
    init(
        _ process: Process?, number: UInt32, consoleSocket: Bool, passed: [HostDescriptor], from firstPassed: CInt,
        loop: EventLoop, dialer: StreamDialer
    ) throws(RuntimeError) {
        self.loop = loop
        self.dialer = dialer
        self.passed = passed
        self.firstPassed = firstPassed
        passedRelays = PassedRelays(loop: loop, dialer: dialer)
        streams = StdioStreams(process: number)
        guard process?.terminal == true else {
            hostTerminal = nil
            plan = .pipes(stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr)
            outputs = [streams.stdout, streams.stderr]
            return
        }
        hostTerminal =
            consoleSocket
            ? try HostTerminal(consoleSocket: FileDescriptor(owning: LaunchRequest.Inherited.consoleSocket)) : nil
        var rows = UInt16(clamping: process?.consoleSize?.height ?? 0)
        var columns = UInt16(clamping: process?.consoleSize?.width ?? 0)
        if let size = try? Terminal.size(of: hostTerminal?.slave.raw ?? CallersTerminal.number ?? 0), size.rows > 0 {
            rows = size.rows
            columns = size.columns
        }
        plan = .terminal(stream: streams.terminal, rows: rows, columns: columns)
        outputs = [streams.terminal]
    }

    var isDelivered: Bool { outputs.isEmpty && passedRelays.isDelivered }

    /// What the guest is told of the descriptors behind stdio; the names of their trees begin with `prefix`.
    func passedPlan(_ prefix: String) -> [PassedDescriptor] { passed.passed(streams, prefix) }

    /// The size of the terminal on the host.
    var terminalSize: Terminal.Size? {
        guard case .terminal = plan else { return nil }
        return try? Terminal.size(of: hostTerminal?.slave.raw ?? CallersTerminal.number ?? 0)
    }

    /// Connects every stream; what comes of it is told by events.
    func open() {
        passedRelays.delivered = { [unowned self] in tellIfDelivered() }
        passedRelays.failed = { [unowned self] in events(.failed($0)) }
        for (index, kind) in passed.enumerated() {
            passedRelays.open(kind, firstPassed + CInt(index), stream: streams.passed(index))
        }
        switch plan {
        case .terminal: dial(streams.terminal) { [unowned self] stream throws(Errno) in try connectTerminal(stream) }
        case .pipes:
            dial(streams.stdin) { [unowned self] stream throws(Errno) in try connectInput(stream) }
            dial(streams.stdout) { [unowned self] stream throws(Errno) in
                try connectOutput(stream, streams.stdout, to: 1)
            }
            dial(streams.stderr) { [unowned self] stream throws(Errno) in
                try connectOutput(stream, streams.stderr, to: 2)
            }
        }
    }

    private func dial(_ stream: UInt32, _ connected: @escaping (SharedDescriptor) throws(Errno) -> Void) {
        dialer.open(stream: stream) { [unowned self] result in
            switch result {
            case .success(let socket):
                do throws(Errno) { try connected(socket) } catch {
                    events(.failed(RuntimeError("standard input, output and error: \(error)")))
                }
            case .failure(let error): events(.failed(error))
            }
        }
    }

    private func connectInput(_ stream: SharedDescriptor) throws(Errno) {
        try relayInput(from: Endpoint.inherited(0, writing: false), to: stream)
    }

    private func relayInput(from source: Endpoint, to stream: SharedDescriptor, endsIt: Bool = true) throws(Errno) {
        let sink = try Endpoint(own: stream.descriptor.duplicate())
        relays.append(
            try Relay(loop: loop, from: source, to: sink) { end in
                // The container reads the end of the file.
                if end == .finished, endsIt { try? Sockets.shutdownWriting(stream.descriptor) }
            })
    }

    private func connectOutput(_ stream: SharedDescriptor, _ id: UInt32, to number: CInt) throws(Errno) {
        try relayOutput(from: stream, id, to: Endpoint.inherited(number, writing: true))
    }

    private func relayOutput(from stream: SharedDescriptor, _ id: UInt32, to sink: Endpoint) throws(Errno) {
        let source = try Endpoint(own: stream.descriptor.duplicate())
        let counted = { [unowned self] (count: Int) in
            guard !firstByteSeen, count > 0 else { return }
            firstByteSeen = true
            events(.firstByte)
        }
        relays.append(
            try Relay(loop: loop, from: source, to: sink, moved: counted) { [unowned self] end in
                // Nobody reads: the container gets its SIGPIPE.
                if end == .sinkGone { try? Sockets.shutdownBoth(stream.descriptor) }
                outputs.remove(id)
                tellIfDelivered()
            })
    }

    private func tellIfDelivered() { if isDelivered { events(.delivered) } }

    private func connectTerminal(_ stream: SharedDescriptor) throws(Errno) {
        if let slave = hostTerminal?.slave {
            try relayInput(from: Endpoint(own: slave.descriptor.duplicate()), to: stream)
            try relayOutput(from: stream, streams.terminal, to: Endpoint(own: slave.descriptor.duplicate()))
        } else {
            // A terminal does not end with a pipe that something is typed from.
            try relayInput(from: Endpoint.inherited(0, writing: false), to: stream, endsIt: isatty(0) == 1)
            try relayOutput(from: stream, streams.terminal, to: Endpoint.inherited(1, writing: true))
        }
    }

    /// The process is there.
    func startListening() { passedRelays.startListening() }

    /// The process has ended: nobody gets through to it any more.
    func stopListening() { passedRelays.stopListening() }

    /// Of all streams, so far.
    var bytesMoved: Int { relays.reduce(0) { $0 + $1.bytesMoved } }

    /// Somebody does not take the output.
    var isStuck: Bool { relays.contains(where: \.isStuck) }

    func close() {
        for relay in relays { relay.stop() }
        relays = []
        passedRelays.close()
    }
}

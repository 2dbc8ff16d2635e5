import Glibc
import JSON
import LinuxSys

/// `run`: makes a container, starts it, and, unless detached, stays with it until it ends.
public struct Run {
    public struct Options: Sendable {
        public var launch: LaunchOptions
        public var detach = false
        /// Keeps the stopped container's state after it has ended.
        public var keep = false
        /// Where the timeline goes: a file, or "-" for a table on stderr.
        public var timeline: String?

        public init(launch: LaunchOptions) { self.launch = launch }
    }

    let context: RuntimeContext
    let options: Options
    let began: UInt64

    /// - Parameter began: CLOCK_MONOTONIC when the command started.
    public init(_ context: RuntimeContext, _ options: Options, began: UInt64) {
        self.context = context
        self.options = options
        self.began = began
    }

    /// The exit code of the command: the container's, in the foreground.
    public func run() throws(RuntimeError) -> Int32 {
        if options.detach, options.timeline != nil {
            throw RuntimeError("--timeline needs the foreground: it is written when the container has ended")
        }
        let launch = Launch(
            context: context, options: options.launch, foreground: !options.detach,
            removesAtExit: !options.detach && !options.keep)
        if options.detach {
            let sandbox = try launch.start()
            try sandbox.waitUntilCreated()
            try startDetached(sandbox)
            return 0
        }
        // Before the supervisor exists, so that no signal can fall between the two.
        Signals.ignore(SIGPIPE)
        let signals: SignalDescriptor
        do throws(Errno) { signals = try SignalDescriptor(Signals.forwardable) } catch {
            throw RuntimeError("can't wait for signals: \(error)")
        }
        return try Foreground(run: self, sandbox: try launch.start(), signals: signals).wait()
    }

    private func startDetached(_ sandbox: borrowing LaunchedSandbox) throws(RuntimeError) {
        do throws(RuntimeError) {
            if let path = options.launch.pidFile { try PidFile.write(sandbox.standIn, to: path) }
            sandbox.channel.send(ControlRequest.start.json)
            while true {
                switch try sandbox.next() {
                case .done: return try sandbox.runPoststart()
                case .failed(let message, let code, let console):
                    throw RuntimeError(message, exitCode: code, console: console)
                case .created, .exited, .timeline, .console, .warning, .process, .stepFailed, .value: continue
                }
            }
        } catch {
            sandbox.giveUp()
            throw error
        }
    }
}

/// The command's side of a container in the foreground: signals in, the exit code out, the terminal raw meanwhile.
private final class Foreground {
    private let run: Run
    private let sandbox: LaunchedSandbox
    private let signals: SignalDescriptor
    private let loop: EventLoop
    private let terminal = RawTerminal()
    private var timeline = Timeline()
    private var result: Result<Int32, RuntimeError>?

    init(run: Run, sandbox: consuming LaunchedSandbox, signals: consuming SignalDescriptor) throws(RuntimeError) {
        self.run = run
        self.sandbox = sandbox
        self.signals = signals
        do throws(Errno) { loop = try EventLoop() } catch { throw RuntimeError("epoll: \(error)") }
        timeline.mark(.commandStarted, run.began)
    }

    func wait() throws(RuntimeError) -> Int32 {
        defer { terminal.restore() }
        do {
            try loop.watch(signals.raw, .readable) { [unowned self] _ in forwardSignals() }
            try loop.watch(sandbox.channel.socket.raw, .readable) { [unowned self] _ in takeEvent() }
            try loop.run()
        } catch {
            throw RuntimeError("waiting for the container: \(error)")
        }
        // It has been waited for already when it was lost.
        _ = try? sandbox.process.wait()
        // It ends with its supervisor; whoever it was that could not tell it.
        ProcessControl.end(sandbox.standIn)
        terminal.restore()
        if !run.options.keep { sandbox.runPoststop() }
        if run.options.timeline != nil { try writeTimeline() }
        switch result {
        case .success(let code): return code
        case .failure(let error): throw error
        case nil: return 1
        }
    }

    private func forwardSignals() {
        while let delivery = try? signals.next() { sandbox.process.send(delivery.signal) }
    }

    private func takeEvent() {
        do throws(RuntimeError) {
            switch try sandbox.next() {
            case .created: try start()
            case .done:
                try sandbox.runPoststart()
                loop.after(milliseconds: 300) { ProcessControl.releaseCodePages() }
            case .console, .warning, .process, .stepFailed, .value: break
            case .failed(let message, let code, let console):
                end(.failure(RuntimeError(message, exitCode: code, console: console)), final: false)
            case .timeline(let marks, let times):
                timeline.add(marks)
                timeline.processorTimes = times
            case .exited(let code): end(.success(code), final: true)
            }
        } catch {
            // What failed may be on this side; the supervisor must not wait for what does not come.
            sandbox.channel.send(ControlRequest.destroy.json)
            end(.failure(error), final: true)
        }
    }

    private func start() throws(RuntimeError) {
        if let path = run.options.launch.pidFile { try PidFile.write(sandbox.standIn, to: path) }
        if sandbox.hasTerminal { try terminal.begin() }
        sandbox.channel.send(ControlRequest.start.json)
    }

    /// The first result counts; the supervisor's last word is `exited`.
    private func end(_ result: Result<Int32, RuntimeError>, final: Bool) {
        if self.result == nil { self.result = result }
        if final { loop.stop() }
    }

    private func writeTimeline() throws(RuntimeError) {
        guard let path = run.options.timeline else { return }
        timeline.processorTimes["command"] = Processes.ownProcessorTime
        if path == "-" { return Output.error(timeline.table) }
        do throws(Errno) {
            let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
            try file.writeAll(timeline.trace(id: sandbox.id.text).bytes())
        } catch {
            throw RuntimeError("--timeline \(path): \(error)")
        }
    }
}

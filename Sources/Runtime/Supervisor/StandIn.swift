import AgentProtocol
import Glibc
import JSON
import JailCompiler
import LinuxSys
import OCISpec
import StateStore
import VMDriver

/// A process of the host that stands for one in the guest: it has its stdio and its exit code, and hands on its signals.
/// When it is killed, the process in the guest is.
final class StandIn {
    private let id: ContainerID
    private let plan: ExecPlan
    private let ignorePaused: Bool
    private let consoleSocket: Bool
    /// The first of the descriptors that are handed on, in this process.
    private let firstPassed: CInt
    private let directory: SandboxDirectory
    private let loop: EventLoop
    private let signals: SignalDescriptor
    private let channel: ControlChannel
    private var stdio: ProcessStdio?
    private var exitCode: Int32?
    private var failure: RuntimeError?
    /// Called when the program runs.
    var started: () -> Void = {}

    init(
        id: ContainerID, directory path: String, plan: ExecPlan, ignorePaused: Bool, consoleSocket: Bool,
        firstPassed: CInt, signals: consuming SignalDescriptor
    ) throws(RuntimeError) {
        self.id = id
        self.plan = plan
        self.ignorePaused = ignorePaused
        self.consoleSocket = consoleSocket
        self.firstPassed = firstPassed
        self.signals = signals
        do throws(Errno) {
            loop = try EventLoop()
            directory = try SandboxDirectory(path: path)
            channel = ControlChannel(
                try Sockets.connect(to: ControlServer.name, in: directory.descriptor.descriptor, .packets))
        } catch {
            throw RuntimeError("container \(id): its supervisor can't be reached: \(error)", exitCode: 255)
        }
    }

    /// Runs the process to its end; its exit code.
    func run() throws(RuntimeError) -> Int32 {
        do {
            try loop.watch(signals.raw, .readable) { [unowned self] _ in takeSignals() }
            try loop.watch(channel.socket.raw, .readable) { [unowned self] _ in takeEvent() }
            try ask()
            try loop.run()
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("exec in \(id): \(error)", exitCode: 255)
        }
        stdio?.close()
        if let failure { throw failure }
        return exitCode ?? 255
    }

    private func ask() throws {
        var size: Terminal.Size?
        // The streams' numbers are not known yet; the terminal's size is.
        if plan.process.terminal {
            let console = plan.process.consoleSize
            size = Terminal.Size(
                rows: UInt16(clamping: console?.height ?? 0), columns: UInt16(clamping: console?.width ?? 0))
            if !consoleSocket, let own = try? Terminal.size(of: CallersTerminal.number ?? 0), own.rows > 0 {
                size = own
            }
        }
        var jail = plan.jail
        jail.process.terminal = size.map { TerminalSize(rows: $0.rows, columns: $0.columns) }
        let file = try MemoryFile.make("kvm-runtime-plan", contents: jail.encoded)
        let process = AskedProcess(
            terminal: size, ignorePaused: ignorePaused, passed: plan.passed, cgroup: plan.cgroup)
        let request = ControlRequest.exec(process).json
        guard request.bytes().count <= ControlChannel.longest else {
            throw RuntimeError("--preserve-fds: the paths of the files are too long together", exitCode: 255)
        }
        channel.send(request, descriptors: [file.raw])
    }

    private func takeSignals() {
        while let delivery = try? signals.next() {
            if delivery.signal == SIGWINCH {
                resize()
            } else {
                channel.send(ControlRequest.signal(delivery.signal, all: false).json)
            }
        }
    }

    private func resize() {
        guard let size = stdio?.terminalSize else { return }
        channel.send(ControlRequest.resize(rows: size.rows, columns: size.columns).json)
    }

    private func takeEvent() {
        do {
            guard let value = try channel.receive() else { return sandboxEnded() }
            take(try ControlEvent(decoding: value))
        } catch let error as Errno where error == .wouldBlock {
        } catch {
            fail(RuntimeError("container \(id): \(error)", exitCode: 255))
        }
    }

    private func take(_ event: ControlEvent) {
        switch event {
        case .process(let number): open(number)
        case .done:
            stdio?.startListening()
            started()
            resize()
        case .failed(let message, _, let console): fail(RuntimeError(message, exitCode: 255, console: console))
        case .stepFailed(let failure):
            let words = plan.jail.failure(failure).message
            fail(RuntimeError("exec failed: unable to start container process: \(words)", exitCode: 255))
        case .exited(let code):
            exitCode = code
            stdio?.stopListening()
            if stdio?.isDelivered ?? true { loop.stop() }
        case .created, .console, .warning, .timeline, .value: break
        }
    }

    private func open(_ number: UInt32) {
        do throws(RuntimeError) {
            let stdio = try ProcessStdio(
                plan.process, number: number, consoleSocket: consoleSocket, passed: plan.passed, from: firstPassed,
                loop: loop, dialer: StreamDialer(loop: loop, directory: directory))
            self.stdio = stdio
            stdio.events = { [unowned self] event in
                switch event {
                case .firstByte: break
                case .delivered: if exitCode != nil { loop.stop() }
                // The supervisor's word on why is better, and is on its way if there is one.
                case .failed(let error): loop.after(milliseconds: 500) { [weak self] in self?.fail(error) }
                }
            }
            stdio.open()
        } catch {
            fail(error)
        }
    }

    private func fail(_ error: RuntimeError) {
        if exitCode == nil, failure == nil { failure = error }
        loop.stop()
    }

    /// Its guest is gone, and with it the process.
    private func sandboxEnded() {
        if exitCode == nil { exitCode = 128 + SIGKILL }
        loop.stop()
    }
}

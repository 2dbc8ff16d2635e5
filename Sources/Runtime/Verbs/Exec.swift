import Glibc
import JSON
import LinuxSys
import OCISpec
import Spawn
import StateStore

/// `exec`: runs another process in a container.
public enum Exec {
    /// The exit code of the command: the process's, in the foreground.
    public static func run(_ context: RuntimeContext, _ given: ExecOptions) throws(RuntimeError) -> Int32 {
        do throws(RuntimeError) {
            var options = given
            // The stand-in of a detached process is somewhere else.
            if let file = options.processFile, !file.hasPrefix("/"), let here = try? File.currentDirectory() {
                options.processFile = here + "/" + file
            }
            let (id, record) = try context.record(options.id)
            switch record.currentStatus {
            case .stopped: throw RuntimeError("cannot exec in a stopped container", exitCode: 255)
            case .creating: throw RuntimeError("cannot exec in a container that is being created", exitCode: 255)
            case .created, .running, .paused: break
            }
            let plan = try ExecPlan(options, in: context, id, firstPassed: 3)
            try checkTerminal(plan.process.terminal, options)
            return options.detach
                ? try detach(context, options, id) : try foreground(context, options, id, plan)
        } catch {
            // As runc: an exec that fails is told from one whose process ends with 1.
            var failure = RuntimeError(error.description, exitCode: 255)
            failure.console = error.console
            throw failure
        }
    }

    /// runc's rules for terminals.
    private static func checkTerminal(_ wanted: Bool, _ options: ExecOptions) throws(RuntimeError) {
        if options.detach, wanted, options.consoleSocket == nil {
            throw RuntimeError("cannot allocate tty if kvm-runtime will detach without setting console socket")
        }
        if options.consoleSocket != nil, !options.detach || !wanted {
            throw RuntimeError("cannot use console socket if kvm-runtime will not detach or allocate tty")
        }
        if !options.detach, wanted, CallersTerminal.number == nil {
            throw RuntimeError(
                "the process wants a terminal, but neither stderr, stdout nor stdin is one: run it from a terminal, without --tty, or use "
                    + "--detach with --console-socket")
        }
    }

    private static func foreground(
        _ context: RuntimeContext, _ options: ExecOptions, _ id: ContainerID, _ plan: ExecPlan
    ) throws(RuntimeError) -> Int32 {
        // A process that does not read its stdin is no reason to end.
        Signals.ignore(SIGPIPE)
        let signals: SignalDescriptor
        do throws(Errno) { signals = try SignalDescriptor(Signals.forwardable) } catch {
            throw RuntimeError("can't wait for signals: \(error)")
        }
        let standIn = try StandIn(
            id: id, directory: context.store.directory(of: id), plan: plan, ignorePaused: options.ignorePaused,
            consoleSocket: false, firstPassed: 3, signals: signals)
        let terminal = RawTerminal()
        defer { terminal.restore() }
        if let path = options.pidFile { try PidFile.write(getpid(), to: path) }
        if plan.process.terminal { try terminal.begin() }
        standIn.started = {
            // A shell that waits for its next line needs little.
            ProcessControl.releaseCodePages()
        }
        do throws(RuntimeError) { return try standIn.run() } catch {
            if let path = options.pidFile { unlink(path) }
            throw error
        }
    }

    private static func detach(
        _ context: RuntimeContext, _ options: ExecOptions, _ id: ContainerID
    ) throws(RuntimeError) -> Int32 {
        let standIn = try launch(context, options)
        try standIn.waitUntilStarted()
        guard let path = options.pidFile else { return 0 }
        do throws(RuntimeError) { try PidFile.write(standIn.process.pid, to: path) } catch {
            standIn.process.send(SIGKILL)
            throw error
        }
        return 0
    }

    private static func launch(_ context: RuntimeContext, _ options: ExecOptions) throws(RuntimeError) -> Launched {
        do {
            let pair = try Sockets.pair(.packets)
            var program = Program(
                path: "/proc/self/exe", arguments: ["process"],
                descriptors: [0: 0, 1: 1, 2: 2, LaunchRequest.Inherited.channel: pair.second.raw])
            program.name = "kvm-runtime"
            program.newSession = true
            program.diesWithParent = false
            program.pass(options.preserveFds)
            let socket = try connect(options.consoleSocket)
            let null = SharedDescriptor(try FileDescriptor.open("/dev/null", O_RDWR))
            if let socket { program.giveTerminal(socket, null) }
            let process = try program.start()
            let channel = ControlChannel(try pair.first.duplicate())
            let file = try MemoryFile.make("kvm-runtime-exec", contents: options.json(root: context.root).bytes())
            channel.send(["request": "process"], descriptors: [file.raw])
            return Launched(process: process, channel: channel)
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("can't start the process's stand-in: \(error)")
        }
    }

    private static func connect(_ path: String?) throws(RuntimeError) -> SharedDescriptor? {
        guard let path else { return nil }
        do throws(Errno) { return SharedDescriptor(try Sockets.connect(to: path)) } catch {
            throw RuntimeError("--console-socket \(path): \(error)")
        }
    }

    /// A stand-in that was just started.
    private struct Launched: ~Copyable {
        let process: ChildProcess
        let channel: ControlChannel

        func waitUntilStarted() throws(RuntimeError) {
            do {
                guard let value = try channel.receive() else {
                    let status = try process.wait()
                    throw RuntimeError("the process's stand-in \(status.words)")
                }
                if case .failed(let message, let code, let console) = try ControlEvent(decoding: value) {
                    _ = try? process.wait()
                    throw RuntimeError(message, exitCode: code, console: console)
                }
            } catch let error as RuntimeError {
                throw error
            } catch {
                throw RuntimeError("the process's stand-in: \(error)")
            }
        }
    }
}

/// The stand-in of a detached exec: `kvm-runtime process`, started by `exec --detach` only.
public enum StandInMain {
    public static func run() -> Int32 {
        let channel = ControlChannel(FileDescriptor(owning: LaunchRequest.Inherited.channel))
        do {
            Signals.ignore(SIGPIPE)
            _ = chdir("/")
            let signals = try SignalDescriptor(Signals.forwardable)
            guard let (_, file) = try channel.receiveAll(), let file else { return 255 }
            let value = try JSONValue.parse(try file.descriptor.readAll(limit: 2 * Bundle.longestSpec))
            let (root, options) = try ExecOptions.decode(value)
            let context = try RuntimeContext(
                root: root, log: try Log(file: nil, format: .text, debug: false), configuration: Configuration(),
                assets: Assets(Configuration(), kernel: nil, initramfs: nil))
            let id = try RuntimeContext.containerID(options.id)
            let standIn = try StandIn(
                id: id, directory: context.store.directory(of: id),
                plan: try ExecPlan(options, in: context, id, firstPassed: LaunchRequest.Inherited.passed),
                ignorePaused: options.ignorePaused, consoleSocket: options.consoleSocket != nil,
                firstPassed: LaunchRequest.Inherited.passed, signals: signals)
            standIn.started = {
                channel.send(ControlEvent.done.json)
                ProcessControl.releaseCodePages()
            }
            return try standIn.run()
        } catch let error as RuntimeError {
            channel.send(ControlEvent(error).json)
            return 255
        } catch {
            channel.send(ControlEvent.failed(message: "exec: \(error)", exitCode: 255, console: []).json)
            return 255
        }
    }
}

extension ExecOptions {
    /// For the stand-in, which has no command line.
    func json(root: String) -> JSONValue {
        var object: JSONObject = [
            "root": .string(root), "id": .string(id), "arguments": JSONValue(arguments),
            "environment": JSONValue(environment), "additionalGids": .array(additionalGids.map { JSONValue($0) }),
            "capabilities": JSONValue(capabilities), "noNewPrivileges": .bool(noNewPrivileges),
            "terminal": .bool(terminal), "ignorePaused": .bool(ignorePaused),
            "preserveFds": JSONValue(preserveFds),
        ]
        let texts: [(String, String?)] = [
            ("processFile", processFile), ("cwd", cwd), ("user", user), ("consoleSocket", consoleSocket),
            ("appArmor", appArmor), ("label", label), ("cgroup", cgroup),
        ]
        for case (let name, let text?) in texts { object[name] = .string(text) }
        return .object(object)
    }

    static func decode(_ value: JSONValue) throws(JSONFieldError) -> (root: String, options: ExecOptions) {
        let fields = try JSONCursor(value).object()
        var options = ExecOptions(id: try fields["id"].string())
        options.arguments = try fields["arguments"].strings()
        options.environment = try fields["environment"].strings()
        options.additionalGids = try fields["additionalGids"].ints()
        options.capabilities = try fields["capabilities"].strings()
        options.noNewPrivileges = try fields["noNewPrivileges"].bool()
        options.terminal = try fields["terminal"].bool()
        options.ignorePaused = try fields["ignorePaused"].bool()
        func text(_ name: String) throws(JSONFieldError) -> String? {
            fields[name].value == nil ? nil : try fields[name].string()
        }
        options.processFile = try text("processFile")
        options.cwd = try text("cwd")
        options.user = try text("user")
        options.consoleSocket = try text("consoleSocket")
        options.appArmor = try text("appArmor")
        options.label = try text("label")
        options.cgroup = try text("cgroup")
        options.preserveFds = try fields["preserveFds"].int()
        return (try fields["root"].string(), options)
    }
}

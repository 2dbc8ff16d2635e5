import AgentProtocol
import JSON
import LinuxSys
import VMDriver

/// What a command asks of a supervisor, over its control socket or the channel of its launch.
enum ControlRequest: Equatable, Sendable {
    case start
    /// The hooks that come before the container have run.
    case hooksRan
    /// For the container's init, or for the process that this connection asked for.
    case signal(Int32, all: Bool)
    /// Runs a process in the container; its plan comes as a descriptor (memfd) with the message. The connection stays, and
    /// when it goes, the process is killed.
    case exec(AskedProcess)
    /// Lets another container into the guest; with it comes a stream for what its supervisor and the agent have to say.
    /// Answered by a `value`, then `done`. The connection stays, and when it goes, the container is killed.
    case join(container: String, HostCgroup)
    /// Gives the guest a tree for the container of this connection.
    case share(VMPlan.SharedTree)
    /// Takes one of those back, by its name. There is no answer.
    case unshare(String)
    /// The size of the terminal of this connection's process.
    case resize(rows: UInt16, columns: UInt16)
    case freeze(Bool)
    /// Limits of the guest's cgroup.
    case update([CgroupSetting])
    /// Answered by `value`s, then `done`.
    case processes
    /// The pids of the host that stand for the container's processes: a `value` each, then `done`.
    case standIns
    /// Files of the container's cgroup in the guest: a `value`, then `done`.
    case readCgroup([String])
    /// `value` for each event (OOM), until the container ends.
    case events
    /// Ends the guest, whatever it is doing.
    case destroy

    var json: JSONValue {
        switch self {
        case .start: ["request": "start"]
        case .hooksRan: ["request": "hooksRan"]
        case .signal(let number, let all): ["request": "signal", "signal": JSONValue(number), "all": .bool(all)]
        case .exec(let process):
            [
                "request": "exec", "ignorePaused": .bool(process.ignorePaused),
                "terminal": .bool(process.terminal != nil), "rows": JSONValue(process.terminal?.rows ?? 0),
                "columns": JSONValue(process.terminal?.columns ?? 0), "cgroup": JSONValue(process.cgroup),
                "passed": .array(process.passed.map(\.json)),
            ]
        case .join(let container, let cgroup):
            ["request": "join", "container": .string(container), "cgroup": cgroup.json]
        case .share(let tree):
            [
                "request": "share", "source": .string(tree.source), "name": .string(tree.name),
                "readOnly": .bool(tree.readOnly), "recursive": .bool(tree.recursive),
                "cache": .string(tree.cache.rawValue), "overlay": JSONValue(tree.overlay),
                "uids": .string(tree.idMap?.uids ?? ""), "gids": .string(tree.idMap?.gids ?? ""),
                "recursiveIDs": .bool(tree.idMap?.recursive ?? false),
                "device": JSONValue(tree.identity?.device ?? 0), "inode": JSONValue(tree.identity?.inode ?? 0),
            ]
        case .unshare(let name): ["request": "unshare", "name": .string(name)]
        case .resize(let rows, let columns):
            ["request": "resize", "rows": JSONValue(rows), "columns": JSONValue(columns)]
        case .freeze(let frozen): ["request": "freeze", "frozen": .bool(frozen)]
        case .update(let settings): ["request": "update", "settings": .array(settings.map(\.json))]
        case .processes: ["request": "processes"]
        case .standIns: ["request": "standIns"]
        case .readCgroup(let files): ["request": "readCgroup", "files": JSONValue(files)]
        case .events: ["request": "events"]
        case .destroy: ["request": "destroy"]
        }
    }

    init(decoding value: JSONValue) throws(JSONFieldError) {
        let fields = try JSONCursor(value).object()
        switch try fields["request"].string() {
        case "start": self = .start
        case "hooksRan": self = .hooksRan
        case "signal":
            self = .signal(try fields["signal"].int(in: 1...64), all: try fields["all"].bool())
        case "exec":
            let size = Terminal.Size(rows: try fields["rows"].int(), columns: try fields["columns"].int())
            self = .exec(
                AskedProcess(
                    terminal: try fields["terminal"].bool() ? size : nil,
                    ignorePaused: try fields["ignorePaused"].bool(),
                    passed: try fields["passed"].list { cursor throws(JSONFieldError) in
                        try HostDescriptor(decoding: cursor)
                    },
                    cgroup: try fields["cgroup"].strings()))
        case "join":
            self = .join(
                container: try fields["container"].string(), try HostCgroup(decoding: fields["cgroup"]))
        case "share":
            var tree = VMPlan.SharedTree(
                source: try fields["source"].string(), name: try fields["name"].string(),
                readOnly: try fields["readOnly"].bool(), recursive: try fields["recursive"].bool(),
                cache: VMPlan.FileCache(rawValue: try fields["cache"].string()) ?? .auto)
            tree.overlay = try fields["overlay"].strings()
            let map = VMPlan.IDMap(
                uids: try fields["uids"].string(), gids: try fields["gids"].string(),
                recursive: try fields["recursiveIDs"].bool())
            if !map.uids.isEmpty { tree.idMap = map }
            let inode: UInt64 = try fields["inode"].int()
            if inode > 0 { tree.identity = FileIdentity(device: try fields["device"].int(), inode: inode) }
            self = .share(tree)
        case "unshare": self = .unshare(try fields["name"].string())
        case "resize": self = .resize(rows: try fields["rows"].int(), columns: try fields["columns"].int())
        case "freeze": self = .freeze(try fields["frozen"].bool())
        case "update": self = .update(try fields["settings"].list(of: CgroupSetting.init(decoding:)))
        case "processes": self = .processes
        case "standIns": self = .standIns
        case "readCgroup": self = .readCgroup(try fields["files"].strings())
        case "events": self = .events
        case "destroy": self = .destroy
        case let word: throw fields["request"].error("unknown request \(word)")
        }
    }
}

/// A process that is asked for, beside its plan.
struct AskedProcess: Equatable, Sendable {
    /// nil: it has none.
    var terminal: Terminal.Size?
    var ignorePaused = false
    /// What the caller's descriptors are that it is to have behind its stdio.
    var passed: [HostDescriptor] = []
    /// See `ExecProcess`.
    var cgroup: [String] = []
}

/// What a supervisor says.
enum ControlEvent: Equatable, Sendable {
    /// The container is ready to start.
    case created
    case done
    /// The number of the process that was asked for: its streams can be opened.
    case process(UInt32)
    /// The process that was asked for could not be made. Who asked has its plan, and so the words.
    case stepFailed(StepFailure)
    /// Part of an answer.
    case value(JSONValue)
    case failed(message: String, exitCode: Int32, console: [String])
    /// The container's init has ended and all it wrote is delivered.
    case exited(code: Int32)
    /// What the person who ran the container should know, and what does not end it.
    case warning(String)
    /// A line of the guest's console, where `--debug` asks for it.
    case console(line: String)
    /// Where the time went, before `exited`.
    case timeline([TimelineMark], processorTimes: [String: UInt64])

    var json: JSONValue {
        switch self {
        case .created: ["event": "created"]
        case .done: ["event": "done"]
        case .process(let number): ["event": "process", "number": JSONValue(number)]
        case .stepFailed(let failure):
            [
                "event": "stepFailed", "step": JSONValue(failure.step), "index": JSONValue(failure.index),
                "errno": JSONValue(failure.errno),
            ]
        case .value(let value): ["event": "value", "value": value]
        case .failed(let message, let code, let console):
            [
                "event": "failed", "message": .string(message), "exitCode": JSONValue(code),
                "console": JSONValue(console),
            ]
        case .exited(let code): ["event": "exited", "code": JSONValue(code)]
        case .warning(let message): ["event": "warning", "message": .string(message)]
        case .console(let line): ["event": "console", "line": .string(line)]
        case .timeline(let marks, let times):
            [
                "event": "timeline", "marks": .array(marks.map(\.json)),
                "processorTimes": .object(JSONObject(sorted: times.map { ($0.key, JSONValue($0.value)) })),
            ]
        }
    }

    init(decoding value: JSONValue) throws(JSONFieldError) {
        let fields = try JSONCursor(value).object()
        switch try fields["event"].string() {
        case "created": self = .created
        case "done": self = .done
        case "process": self = .process(try fields["number"].int())
        case "stepFailed":
            self = .stepFailed(
                StepFailure(
                    step: try fields["step"].int(), index: try fields["index"].int(),
                    errno: try fields["errno"].int()))
        case "value": self = .value(fields["value"].value ?? .null)
        case "failed":
            self = .failed(
                message: try fields["message"].string(), exitCode: try fields["exitCode"].int(),
                console: try fields["console"].strings())
        case "warning": self = .warning(try fields["message"].string())
        case "console": self = .console(line: try fields["line"].string())
        case "exited": self = .exited(code: try fields["code"].int())
        case "timeline":
            self = .timeline(
                try fields["marks"].list(of: TimelineMark.init(decoding:)),
                processorTimes: try fields["processorTimes"].map { cursor throws(JSONFieldError) in
                    try cursor.int()
                })
        case let word: throw fields["event"].error("unknown event \(word)")
        }
    }

    init(_ error: RuntimeError) {
        self = .failed(message: error.description, exitCode: error.exitCode, console: error.console)
    }
}

/// Messages over a SOCK_SEQPACKET socket: one JSON value each.
final class ControlChannel {
    /// Bytes of a message.
    static let longest = 128 << 10

    let socket: SharedDescriptor

    init(_ socket: consuming FileDescriptor) { self.socket = SharedDescriptor(socket) }

    /// The values in groups that fit in a message each, with what is around them.
    static func parts(_ values: [JSONValue]) -> [[JSONValue]] {
        var parts: [[JSONValue]] = []
        var room = 0
        for value in values {
            let size = value.bytes().count + 1
            if size > room {
                parts.append([])
                room = longest / 2
            }
            parts[parts.count - 1].append(value)
            room -= size
        }
        return parts
    }

    /// Waits where the socket blocks; where it doesn't, a message may be lost (`OutgoingMessages`). A peer that has gone is no error here: reading tells.
    func send(_ value: JSONValue, descriptors: [CInt] = []) {
        _ = try? Sockets.send(value.bytes(), descriptors: descriptors, over: socket.descriptor)
    }

    /// The next message; nil at the end.
    /// - Throws: `wouldBlock` when there is none yet and the socket doesn't block.
    func receive() throws(Errno) -> JSONValue? { try receiveAll()?.value }

    /// The same, with up to one descriptor.
    func receiveAll() throws(Errno) -> (value: JSONValue, descriptor: SharedDescriptor?)? {
        let bytes: [UInt8]
        let descriptors: [SharedDescriptor]
        do throws(Errno) {
            (bytes, descriptors) = try Sockets.receiveMessage(
                upTo: Self.longest, descriptors: 1, from: socket.descriptor)
        } catch .connectionReset {
            return nil
        } catch { throw error }
        if bytes.isEmpty { return nil }
        do throws(JSONError) { return (try JSONValue.parse(bytes), descriptors.first) } catch { throw Errno.ioError }
    }
}

extension CgroupSetting {
    fileprivate var json: JSONValue {
        ["file": .string(file), "value": .string(value), "isOptional": .bool(isOptional)]
    }

    fileprivate init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        self.init(
            try fields["file"].string(), try fields["value"].string(), isOptional: try fields["isOptional"].bool())
    }
}

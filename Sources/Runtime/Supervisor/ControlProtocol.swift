import JSON
import LinuxSys

/// What a command asks of a supervisor, over its control socket or the channel of its launch.
enum ControlRequest: Equatable, Sendable {
    case start
    case signal(Int32, all: Bool)
    /// Ends the guest, whatever it is doing.
    case destroy

    var json: JSONValue {
        switch self {
        case .start: ["request": "start"]
        case .signal(let number, let all): ["request": "signal", "signal": JSONValue(number), "all": .bool(all)]
        case .destroy: ["request": "destroy"]
        }
    }

    init(decoding value: JSONValue) throws(JSONFieldError) {
        let fields = try JSONCursor(value).object()
        switch try fields["request"].string() {
        case "start": self = .start
        case "signal":
            self = .signal(try fields["signal"].int(in: 1...64), all: try fields["all"].bool())
        case "destroy": self = .destroy
        case let word: throw fields["request"].error("unknown request \(word)")
        }
    }
}

/// What a supervisor says.
enum ControlEvent: Equatable, Sendable {
    /// The container is ready to start.
    case created
    case done
    case failed(message: String, exitCode: Int32, console: [String])
    /// The container's init has ended and all it wrote is delivered.
    case exited(code: Int32)
    /// A line of the guest's console, where `--debug` asks for it.
    case console(line: String)
    /// Where the time went, before `exited`.
    case timeline([TimelineMark], processorTimes: [String: UInt64])

    var json: JSONValue {
        switch self {
        case .created: ["event": "created"]
        case .done: ["event": "done"]
        case .failed(let message, let code, let console):
            [
                "event": "failed", "message": .string(message), "exitCode": JSONValue(code),
                "console": JSONValue(console),
            ]
        case .exited(let code): ["event": "exited", "code": JSONValue(code)]
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
        case "failed":
            self = .failed(
                message: try fields["message"].string(), exitCode: try fields["exitCode"].int(),
                console: try fields["console"].strings())
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

    /// Waits where the socket blocks. A peer that has gone is no error here: reading tells.
    func send(_ value: JSONValue) { _ = try? Sockets.send(value.bytes(), descriptors: [], over: socket.descriptor) }

    /// The next message; nil at the end.
    /// - Throws: `wouldBlock` when there is none yet and the socket doesn't block.
    func receive() throws(Errno) -> JSONValue? {
        let bytes: [UInt8]
        do throws(Errno) { bytes = try socket.descriptor.read(upTo: Self.longest) } catch .connectionReset {
            return nil
        } catch { throw error }
        if bytes.isEmpty { return nil }
        do throws(JSONError) { return try JSONValue.parse(bytes) } catch { throw Errno.ioError }
    }
}

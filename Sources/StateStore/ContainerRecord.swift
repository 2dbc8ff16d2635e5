import JSON
import LinuxSys
import OCISpec

/// What is known of a container, as it stands on disk.
public struct ContainerRecord: Equatable, Sendable {
    /// The version of the file's form; another version is refused, never guessed at.
    public static let formVersion = 2

    public var id: String
    public var bundle: String
    /// The rootfs on the host.
    public var rootfs: String
    public var ociVersion: String
    public var annotations: [String: String]
    public var status: State.Status
    /// The stand-in, which is the container's process as the host sees it.
    public var pid: Int32
    /// With the pid it names one process for ever: clock ticks since boot (proc(5) stat, field 22).
    public var pidStartTime: UInt64
    /// The process that has the sandbox.
    public var supervisor = Supervisor(pid: 0, startTime: 0)
    /// RFC 3339, UTC.
    public var created: String
    /// The exit code, once stopped.
    public var exitCode: Int32?
    /// The guest's memory; 0 if it is not known.
    public var memoryMiB = 0
    /// The container in whose guest it is; empty: it has one of its own.
    public var sandbox = ""
    /// The processes of the machine by name, for people who look (`ps`) and for measurements.
    public var processes: [String: Int32]

    public init(
        id: String, bundle: String, rootfs: String, ociVersion: String, annotations: [String: String],
        status: State.Status, pid: Int32, pidStartTime: UInt64, created: String
    ) {
        self.id = id
        self.bundle = bundle
        self.rootfs = rootfs
        self.ociVersion = ociVersion
        self.annotations = annotations
        self.status = status
        self.pid = pid
        self.pidStartTime = pidStartTime
        self.created = created
        exitCode = nil
        processes = [:]
    }

    public struct Supervisor: Equatable, Sendable {
        public var pid: Int32
        /// As `pidStartTime`.
        public var startTime: UInt64

        public init(pid: Int32, startTime: UInt64) {
            self.pid = pid
            self.startTime = startTime
        }

        /// Whether it still runs.
        public var lives: Bool { ContainerRecord.lives(pid, startTime) }
    }

    /// Whether a process still runs; a zombie doesn't.
    private static func lives(_ pid: Int32, _ startTime: UInt64) -> Bool {
        pid > 0 && Processes.startTime(of: pid) == startTime && Processes.state(of: pid) != "Z"
    }

    /// The status as it is now: a supervisor that was killed could not write it down. With either of the two gone, the
    /// other one follows.
    public var currentStatus: State.Status {
        status == .stopped || supervisor.lives && Self.lives(pid, pidStartTime) ? status : .stopped
    }

    public var json: JSONValue {
        var object: JSONObject = [
            "version": .integer(Int64(Self.formVersion)), "id": .string(id), "bundle": .string(bundle),
            "rootfs": .string(rootfs), "ociVersion": .string(ociVersion), "annotations": JSONValue(annotations),
            "status": .string(status.rawValue), "pid": .integer(Int64(pid)), "pidStartTime": JSONValue(pidStartTime),
            "supervisor": ["pid": .integer(Int64(supervisor.pid)), "startTime": JSONValue(supervisor.startTime)],
            "created": .string(created), "memoryMiB": JSONValue(memoryMiB),
            "processes": .object(JSONObject(sorted: processes.map { ($0.key, JSONValue($0.value)) })),
        ]
        if !sandbox.isEmpty { object["sandbox"] = .string(sandbox) }
        if let exitCode { object["exitCode"] = JSONValue(exitCode) }
        return .object(object)
    }

    public init(decoding value: JSONValue) throws(JSONFieldError) {
        let fields = try JSONCursor(value).object()
        let version: Int = try fields["version"].int()
        guard version == Self.formVersion else {
            throw fields["version"].error("form \(version) of the state is not known to this version of kvm-runtime")
        }
        id = try fields["id"].string()
        bundle = try fields["bundle"].string()
        rootfs = try fields["rootfs"].string()
        ociVersion = try fields["ociVersion"].string()
        annotations = try fields["annotations"].stringMap()
        let word = try fields["status"].string()
        guard let known = State.Status(rawValue: word) else { throw fields["status"].error("unknown status \(word)") }
        status = known
        pid = try fields["pid"].int()
        pidStartTime = try fields["pidStartTime"].int()
        let owner = try fields["supervisor"].object()
        supervisor = Supervisor(pid: try owner["pid"].int(), startTime: try owner["startTime"].int())
        created = try fields["created"].string()
        exitCode = try fields["exitCode"].optionalInt()
        memoryMiB = try fields["memoryMiB"].int(or: 0)
        sandbox = try fields["sandbox"].string(or: "")
        processes = [:]
        for member in try fields["processes"].object().object {
            processes[member.key] = try JSONCursor(member.value, path: "processes.\(member.key)").int()
        }
    }

    /// What `state` prints, with runc's fields (runtime.md, "State", and runc's own).
    public var publicState: JSONValue {
        let status = currentStatus
        var object: JSONObject = [
            "ociVersion": .string(ociVersion), "id": .string(id),
            "pid": JSONValue(status == .stopped ? 0 : pid), "status": .string(status.rawValue),
            "bundle": .string(bundle), "rootfs": .string(rootfs), "created": .string(created),
        ]
        if !annotations.isEmpty { object["annotations"] = JSONValue(annotations) }
        object["owner"] = .string("")
        return .object(object)
    }
}

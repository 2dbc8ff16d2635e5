/// A process that the host knows: a container's init, or what was exec'ed beside it.
public struct ProcessName: Hashable, Sendable {
    public var container: String
    /// 0 is the init; others are numbered by the host, never twice in a sandbox.
    public var number: UInt32

    public init(_ container: String, _ number: UInt32 = 0) {
        self.container = container
        self.number = number
    }

    func write(to writer: inout WireWriter) {
        writer.put(container)
        writer.put(number)
    }

    init(from reader: inout WireReader) throws(WireError) {
        container = try reader.container()
        number = try reader.integer()
    }
}

/// Runs a process in a container's namespaces and cgroup.
public struct ExecProcess: Equatable, Sendable {
    public var process: ProcessName
    /// A plan (see `CreateContainer`) of which only the process counts.
    public var plan: [UInt8]
    public var stdio: Stdio
    /// Descriptors from 3 on.
    public var passed: [PassedDescriptor]
    /// The cgroup below the container's own that it is to be in, the names of its directories, outermost first; none: the
    /// container's own.
    public var cgroup: [String]

    public init(
        process: ProcessName, plan: [UInt8], stdio: Stdio, passed: [PassedDescriptor] = [], cgroup: [String] = []
    ) {
        self.process = process
        self.plan = plan
        self.stdio = stdio
        self.passed = passed
        self.cgroup = cgroup
    }

    func write(to writer: inout WireWriter) {
        process.write(to: &writer)
        writer.put(plan)
        stdio.write(to: &writer)
        writer.put(passed)
        writer.put(cgroup)
    }

    init(from reader: inout WireReader) throws(WireError) {
        process = try ProcessName(from: &reader)
        plan = try reader.bytes("plan", limit: WireLimit.plan)
        stdio = try Stdio(from: &reader)
        passed = try reader.passed()
        cgroup = try reader.texts("cgroup")
        // It must not lead out of the container's own.
        guard !cgroup.contains(where: { ["", ".", ".."].contains($0) || $0.utf8.contains(UInt8(ascii: "/")) }) else {
            throw .badValue(field: "cgroup")
        }
    }
}

/// A signal for a process.
public struct SendSignal: Equatable, Sendable {
    public var process: ProcessName
    /// 1 to 64.
    public var signal: UInt8
    /// To every process of the container.
    public var all: Bool

    public init(process: ProcessName, signal: UInt8, all: Bool) {
        self.process = process
        self.signal = signal
        self.all = all
    }

    func write(to writer: inout WireWriter) {
        process.write(to: &writer)
        writer.put(signal)
        writer.put(all)
    }

    init(from reader: inout WireReader) throws(WireError) {
        process = try ProcessName(from: &reader)
        signal = try reader.integer()
        all = try reader.bool("all")
        guard (1...64).contains(signal) else { throw .badValue(field: "signal") }
    }
}

/// The new size of the caller's terminal.
public struct ResizeTerminal: Equatable, Sendable {
    public var process: ProcessName
    public var rows: UInt16
    public var columns: UInt16

    public init(process: ProcessName, rows: UInt16, columns: UInt16) {
        self.process = process
        self.rows = rows
        self.columns = columns
    }

    func write(to writer: inout WireWriter) {
        process.write(to: &writer)
        writer.put(rows)
        writer.put(columns)
    }

    init(from reader: inout WireReader) throws(WireError) {
        process = try ProcessName(from: &reader)
        rows = try reader.integer()
        columns = try reader.integer()
    }
}

/// How a process ended.
public struct ProcessExit: Equatable, Sendable {
    public var process: ProcessName
    /// Set: the signal that ended it (1 to 64). Else it exited with `code`.
    public var signal: UInt8?
    /// 0 to 255.
    public var code: UInt8
    /// A process of the container was killed for want of memory (cgroup `memory.events`, `oom_kill`).
    public var oomKilled: Bool

    public init(process: ProcessName, signal: UInt8?, code: UInt8, oomKilled: Bool) {
        self.process = process
        self.signal = signal
        self.code = code
        self.oomKilled = oomKilled
    }

    func write(to writer: inout WireWriter) {
        process.write(to: &writer)
        writer.put(signal)
        writer.put(code)
        writer.put(oomKilled)
    }

    init(from reader: inout WireReader) throws(WireError) {
        process = try ProcessName(from: &reader)
        signal = try reader.optional("signal")
        code = try reader.integer()
        oomKilled = try reader.bool("oomKilled")
        if let signal, !(1...64).contains(signal) { throw .badValue(field: "signal") }
    }
}

/// A process of a container, as the guest's /proc has it.
public struct ProcessEntry: Equatable, Sendable {
    /// The guest's number for it.
    public var pid: UInt32
    public var uid: UInt32
    /// /proc/PID/stat: what is in it is for the host to read.
    public var stat: [UInt8]
    /// Arguments, each with a zero behind it; cut at a page.
    public var commandLine: [UInt8]

    public init(pid: UInt32, uid: UInt32, stat: [UInt8], commandLine: [UInt8]) {
        self.pid = pid
        self.uid = uid
        self.stat = stat
        self.commandLine = commandLine
    }

    func write(to writer: inout WireWriter) {
        writer.put(pid)
        writer.put(uid)
        writer.put(stat)
        writer.put(commandLine)
    }

    init(from reader: inout WireReader) throws(WireError) {
        pid = try reader.integer()
        uid = try reader.integer()
        stat = try reader.bytes("stat", limit: WireLimit.text)
        commandLine = try reader.bytes("commandLine", limit: WireLimit.text)
    }
}

/// A file's contents.
public struct FileContents: Equatable, Sendable {
    public var file: String
    /// nil: there is no such file.
    public var bytes: [UInt8]?

    public init(file: String, bytes: [UInt8]?) {
        self.file = file
        self.bytes = bytes
    }

    func write(to writer: inout WireWriter) {
        writer.put(file)
        writer.put(bytes != nil)
        if let bytes { writer.put(bytes) }
    }

    init(from reader: inout WireReader) throws(WireError) {
        file = try reader.text("file")
        bytes = try reader.bool("bytes") ? try reader.bytes("bytes", limit: WireLimit.contents) : nil
    }
}

extension WireWriter {
    mutating func put(_ settings: [CgroupSetting]) {
        put(UInt32(truncatingIfNeeded: settings.count))
        for setting in settings { setting.write(to: &self) }
    }
}

extension WireReader {
    mutating func container() throws(WireError) -> String { try text("container", limit: WireLimit.id) }

    mutating func settings() throws(WireError) -> [CgroupSetting] {
        var settings: [CgroupSetting] = []
        for _ in 0..<(try count("settings")) { settings.append(try CgroupSetting(from: &self)) }
        return settings
    }
}

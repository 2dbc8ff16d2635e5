import JSON

/// A process of the guest, of /proc/PID/stat (proc(5)). Everything in it is the guest's to choose.
struct ProcessLine: Equatable {
    let pid: Int
    let uid: UInt32
    let name: String
    /// Behind the name: proc(5)'s field N is the index N - 3.
    private let fields: [Substring]
    private let commandLine: String

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let members = try cursor.object()
        self.init(
            pid: try members["pid"].int(), uid: try members["uid"].int(), stat: try members["stat"].string(),
            commandLine: try members["commandLine"].string())
    }

    init(pid: Int, uid: UInt32, stat: String, commandLine: String) {
        self.pid = pid
        self.uid = uid
        self.commandLine = commandLine
        guard let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")"), open < close else {
            name = "?"
            fields = []
            return
        }
        name = String(stat[stat.index(after: open)..<close])
        fields = stat[stat.index(after: close)...].split(separator: " ")
    }

    private func number(_ index: Int) -> UInt64 {
        fields.indices.contains(index) ? UInt64(fields[index]) ?? 0 : 0
    }
    private func text(_ index: Int) -> String { fields.indices.contains(index) ? String(fields[index]) : "?" }

    var state: String { text(0) }
    var parent: String { text(1) }
    var group: String { text(2) }
    var session: String { text(3) }
    var terminal: UInt64 { number(4) }
    /// User and system time, in ticks.
    var processorTime: UInt64 { number(11) &+ number(12) }
    /// As ps(1) counts: the higher, the more important.
    var priority: String { fields.indices.contains(15) ? Int(fields[15]).map { "\(39 &- $0)" } ?? "?" : "?" }
    var niceness: String { text(16) }
    var threads: String { text(17) }
    /// In ticks of the guest's uptime.
    var started: UInt64 { number(19) }
    var virtualKiB: UInt64 { number(20) / 1024 }
    var residentKiB: UInt64 { min(number(21), UInt64.max / 4) * 4 }

    /// The state with ps's letters behind it: niceness, session leader, threads, in the foreground of its terminal.
    var detailedState: String {
        var letters = state
        if let niceness = Int(niceness), niceness != 0 { letters += niceness < 0 ? "<" : "N" }
        if session == "\(pid)" { letters += "s" }
        if number(17) > 1 { letters += "l" }
        if fields.indices.contains(5), fields[5] == fields[2] { letters += "+" }
        return letters
    }

    /// What the process calls itself; a kernel's name for it where it says nothing.
    var command: String {
        var words = commandLine[...]
        while words.last == " " { words.removeLast() }
        return words.isEmpty ? "[\(name)]" : String(words)
    }
}

/// What the figures of processes are measured by.
struct ProcessScale {
    /// How long the guest has run, in ticks of 10 ms.
    var uptime: UInt64
    var memoryKiB: UInt64
    /// Seconds since 1970.
    var now: Int
    var users: HostUsers

    /// Ticks since the start of a process.
    func age(of line: ProcessLine) -> UInt64 { uptime > line.started ? uptime - line.started : 0 }

    /// Tenths of a percent of one processor, over all the time that the process has lived, as ps(1) has it.
    func processorTenths(of line: ProcessLine) -> UInt64 {
        let age = age(of: line)
        return age == 0 ? 0 : min(line.processorTime, UInt64.max / 1000) * 1000 / age
    }

    func memoryTenths(of line: ProcessLine) -> UInt64 {
        memoryKiB == 0 ? 0 : min(line.residentKiB, UInt64.max / 1000) * 1000 / memoryKiB
    }

    /// Seconds since 1970.
    func start(of line: ProcessLine) -> Int { now - Int(clamping: age(of: line) / 100) }
}

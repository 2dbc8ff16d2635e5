/// A column of `ps`, by the names and with the titles of ps(1).
struct ProcessColumn: Sendable {
    typealias Text = @Sendable (ProcessLine, ProcessScale) -> String

    let name: String
    var title: String
    let isNumber: Bool
    let text: Text

    private init(_ name: String, _ title: String, isNumber: Bool = false, _ text: @escaping Text) {
        self.name = name
        self.title = title
        self.isNumber = isNumber
        self.text = text
    }

    /// nil: there is no such column.
    static func named(_ name: Substring) -> ProcessColumn? {
        let wanted = aliases[name].map { $0[...] } ?? name
        return known.first { $0.name == wanted }
    }

    static var names: String { known.map(\.name).joined(separator: ", ") }

    /// Other words of ps(1) for the same, with the same title.
    private static let aliases: [Substring: String] = [
        "%cpu": "pcpu", "%mem": "pmem", "vsize": "vsz", "rssize": "rss", "tt": "tty", "state": "s", "nice": "ni",
        "thcount": "nlwp", "ucomm": "comm", "euser": "user", "uname": "user", "euid": "uid", "cputime": "time",
        "tgid": "pid", "session": "sess", "bsdstart": "start_time",
    ]

    private static let known: [ProcessColumn] = identities + figures + times + commands

    private static let identities: [ProcessColumn] = [
        ProcessColumn("user", "USER") { line, scale in scale.users[line.uid] ?? "\(line.uid)" },
        ProcessColumn("uid", "UID", isNumber: true) { line, _ in "\(line.uid)" },
        ProcessColumn("pid", "PID", isNumber: true) { line, _ in "\(line.pid)" },
        ProcessColumn("ppid", "PPID", isNumber: true) { line, _ in line.parent },
        ProcessColumn("pgid", "PGID", isNumber: true) { line, _ in line.group },
        ProcessColumn("pgrp", "PGRP", isNumber: true) { line, _ in line.group },
        ProcessColumn("sid", "SID", isNumber: true) { line, _ in line.session },
        ProcessColumn("sess", "SESS", isNumber: true) { line, _ in line.session },
    ]

    private static let figures: [ProcessColumn] = [
        ProcessColumn("c", "C", isNumber: true) { line, scale in "\(min(scale.processorTenths(of: line) / 10, 99))" },
        ProcessColumn("pcpu", "%CPU", isNumber: true) { line, scale in tenths(scale.processorTenths(of: line)) },
        ProcessColumn("pmem", "%MEM", isNumber: true) { line, scale in tenths(scale.memoryTenths(of: line)) },
        ProcessColumn("vsz", "VSZ", isNumber: true) { line, _ in "\(line.virtualKiB)" },
        ProcessColumn("rss", "RSS", isNumber: true) { line, _ in "\(line.residentKiB)" },
        ProcessColumn("tty", "TT") { line, _ in terminal(line.terminal) },
        ProcessColumn("tname", "TTY") { line, _ in terminal(line.terminal) },
        ProcessColumn("stat", "STAT") { line, _ in line.detailedState },
        ProcessColumn("s", "S") { line, _ in line.state },
        ProcessColumn("ni", "NI", isNumber: true) { line, _ in line.niceness },
        ProcessColumn("pri", "PRI", isNumber: true) { line, _ in line.priority },
        ProcessColumn("nlwp", "NLWP", isNumber: true) { line, _ in line.threads },
    ]

    private static let times: [ProcessColumn] = [
        ProcessColumn("stime", "STIME") { line, scale in
            ProcessTimes.moment(scale.start(of: line), now: scale.now)
        },
        ProcessColumn("start_time", "START") { line, scale in
            ProcessTimes.moment(scale.start(of: line), now: scale.now)
        },
        ProcessColumn("start", "STARTED", isNumber: true) { line, scale in
            ProcessTimes.moment(scale.start(of: line), now: scale.now, withSeconds: true)
        },
        ProcessColumn("etime", "ELAPSED", isNumber: true) { line, scale in
            ProcessTimes.elapsed(seconds: scale.age(of: line) / 100)
        },
        ProcessColumn("etimes", "ELAPSED", isNumber: true) { line, scale in "\(scale.age(of: line) / 100)" },
        ProcessColumn("time", "TIME", isNumber: true) { line, _ in
            ProcessTimes.used(seconds: line.processorTime / 100)
        },
        ProcessColumn("times", "TIME", isNumber: true) { line, _ in "\(line.processorTime / 100)" },
        ProcessColumn("bsdtime", "TIME", isNumber: true) { line, _ in
            ProcessTimes.brief(seconds: line.processorTime / 100)
        },
    ]

    private static let commands: [ProcessColumn] = [
        ProcessColumn("comm", "COMMAND") { line, _ in line.name },
        ProcessColumn("ucmd", "CMD") { line, _ in line.name },
        ProcessColumn("args", "COMMAND") { line, _ in line.command },
        ProcessColumn("command", "COMMAND") { line, _ in line.command },
        ProcessColumn("cmd", "CMD") { line, _ in line.command },
    ]

    private static func tenths(_ number: UInt64) -> String { "\(number / 10).\(number % 10)" }

    private static func terminal(_ device: UInt64) -> String {
        // Unix98 ptys are the majors 136 to 143. A minor's higher bits are above the major (MKDEV, kernel).
        (136...143).contains(device >> 8 & 0xfff) ? "pts/\(device & 0xff | device >> 12 & 0xfff00)" : "?"
    }
}

import Glibc
import JSON
import LinuxSys
import OCISpec
import StateStore

/// `ps`: the processes of a container.
///
/// As a table they are those of the guest, with the guest's numbers. As JSON they are numbers of the host, because callers
/// use them on the host: the stand-ins of the init and of what was exec'ed. Others have none.
public enum ShowProcesses {
    public enum Format: String, CaseIterable, Sendable { case table, json }

    public static func run(
        _ context: RuntimeContext, id text: String, format: Format, options: [String]
    ) throws(RuntimeError) {
        let (id, record) = try context.record(text)
        switch record.currentStatus {
        case .created, .running, .paused: break
        case .creating, .stopped: throw RuntimeError("container not running")
        }
        if format == .json {
            let values = try Ask.supervisor(of: id, in: context.store, .standIns)
            return Output.print(JSONValue.array(values).text() + "\n")
        }
        let columns = try ProcessColumn.chosen(by: options)
        let values = try Ask.supervisor(of: id, in: context.store, .processes)
        do throws(JSONFieldError) {
            var entries: [ProcessLine] = []
            for value in values { entries += try JSONCursor(value).list(of: ProcessLine.init(decoding:)) }
            Output.print(table(columns, entries.sorted { $0.pid < $1.pid }))
        } catch {
            throw RuntimeError("container \(id): its supervisor's answer: \(error)")
        }
    }

    static func table(_ columns: [ProcessColumn], _ lines: [ProcessLine]) -> String {
        let rows = [columns.map(\.title)] + lines.map { line in columns.map { $0.text(line) } }
        let widths = columns.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { index, cell in
                let space = String(repeating: " ", count: widths[index] - cell.count)
                // The last column is as long as it is.
                return columns[index].isNumber ? space + cell : index == row.count - 1 ? cell : cell + space
            }.joined(separator: " ") + "\n"
        }.joined()
    }
}

/// A process of the guest, of /proc/PID/stat (proc(5)).
struct ProcessLine: Equatable {
    let pid: Int
    let uid: Int
    let name: String
    /// Behind the name: the state is field 0, the parent 1, the terminal 4, user and system time 11 and 12 (ticks of
    /// 10 ms), the niceness 16, virtual and resident size 20 (bytes) and 21 (pages).
    let fields: [Substring]
    let commandLine: String

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let members = try cursor.object()
        pid = try members["pid"].int()
        uid = try members["uid"].int()
        commandLine = try members["commandLine"].string()
        let stat = try members["stat"].string()
        guard let open = stat.firstIndex(of: "("), let close = stat.lastIndex(of: ")"), open < close else {
            name = "?"
            fields = []
            return
        }
        name = String(stat[stat.index(after: open)..<close])
        fields = stat[stat.index(after: close)...].split(separator: " ")
    }

    func number(_ index: Int) -> UInt64 { fields.indices.contains(index) ? UInt64(fields[index]) ?? 0 : 0 }
    func text(_ index: Int) -> String { fields.indices.contains(index) ? String(fields[index]) : "?" }
    /// What the process calls itself; a kernel's name for it where it says nothing.
    var command: String { commandLine.isEmpty ? "[\(name)]" : commandLine.trimmedEnd }
}

/// A column of `ps`, by the names of ps(1).
struct ProcessColumn: Equatable {
    let name: String
    let title: String

    private static let known: [(String, String)] = [
        ("pid", "PID"), ("ppid", "PPID"), ("uid", "UID"), ("user", "USER"), ("comm", "COMMAND"), ("args", "COMMAND"),
        ("cmd", "CMD"), ("command", "COMMAND"), ("stat", "STAT"), ("state", "S"), ("s", "S"), ("tty", "TT"),
        ("time", "TIME"), ("ni", "NI"), ("vsz", "VSZ"), ("rss", "RSS"), ("pgid", "PGID"), ("sid", "SID"),
    ]

    private static func named(_ name: Substring) -> ProcessColumn? {
        known.first { $0.0 == name }.map { ProcessColumn(name: $0.0, title: $0.1) }
    }

    /// Of ps's options: `-ef` and `aux` with their columns, `-o LIST`. There is no ps in a guest to ask, so what these
    /// don't cover is an error.
    static func chosen(by options: [String]) throws(RuntimeError) -> [ProcessColumn] {
        var names = ["user", "pid", "ppid", "tty", "time", "cmd"]
        var rest = options[...]
        while let option = rest.popFirst() {
            switch option {
            case "-ef", "-e", "-f", "-A", "ax", "-a", "-x": break
            case "aux", "-aux", "u": names = ["user", "pid", "vsz", "rss", "tty", "stat", "time", "command"]
            case "-o", "-eo", "-Ao", "axo", "-o=", "o":
                guard let list = rest.popFirst() else { throw RuntimeError("ps: \(option) needs a list of columns") }
                names = list.split { $0 == "," || $0 == " " }.map(String.init)
            case _ where option.hasPrefix("-o"):
                names = option.dropFirst(2).split { $0 == "," || $0 == " " }.map(String.init)
            default:
                throw RuntimeError("ps: option \(option) is not supported (-ef, aux and -o LIST are)")
            }
        }
        var columns: [ProcessColumn] = []
        for name in names {
            guard let column = named(name[...]) else {
                throw RuntimeError(
                    "ps: column \(name) is not supported (\(known.map { $0.0 }.joined(separator: ", ")) are)")
            }
            columns.append(column)
        }
        return columns
    }

    var isNumber: Bool { ["pid", "ppid", "ni", "vsz", "rss", "pgid", "sid"].contains(name) }

    func text(_ line: ProcessLine) -> String {
        switch name {
        case "pid": "\(line.pid)"
        case "ppid": line.text(1)
        // Users have names in the container's image only.
        case "uid", "user": line.uid == 0 && name == "user" ? "root" : "\(line.uid)"
        case "comm": line.name
        case "args", "cmd", "command": line.command
        case "stat", "state", "s": line.text(0)
        case "pgid": line.text(2)
        case "sid": line.text(3)
        case "tty": Self.terminal(line.number(4))
        case "time": Self.time(line.number(11) &+ line.number(12))
        case "ni": line.text(16)
        case "vsz": "\(line.number(20) / 1024)"
        case "rss": "\(line.number(21) &* 4)"
        default: "?"
        }
    }

    private static func terminal(_ device: UInt64) -> String {
        let major = device >> 8 & 0xfff
        // Unix98 ptys are the majors 136 to 143.
        return (136...143).contains(major) ? "pts/\(device & 0xff)" : "?"
    }

    private static func time(_ ticks: UInt64) -> String {
        func two(_ number: UInt64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let seconds = ticks / 100
        return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

import Glibc
import JSON
import LinuxSys
import OCISpec
import StateStore

/// `ps`: the processes of a container.
///
/// As a table they are those of the guest, with the guest's numbers, and the host's names of users, as runc has them: it
/// runs the host's ps. As JSON they are numbers of the host, because callers use them on the host: the stand-ins of the
/// init and of what was exec'ed. Others have none.
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
        let options = try ProcessOptions(options)
        let values = try Ask.supervisor(of: id, in: context.store, .processes)
        var scale = ProcessScale(
            uptime: 0, memoryKiB: UInt64(clamping: record.memoryMiB) << 10,
            now: Int(Clock.realtimeNanoseconds() / 1_000_000_000), users: HostUsers())
        do throws(JSONFieldError) {
            var lines: [ProcessLine] = []
            for value in values {
                if let uptime = value["uptime"] {
                    scale.uptime = try JSONCursor(uptime, path: "uptime").int()
                } else {
                    lines += try JSONCursor(value).list(of: ProcessLine.init(decoding:))
                }
            }
            Output.print(table(options, lines.sorted { $0.pid < $1.pid }, scale))
        } catch {
            throw RuntimeError("container \(id): its supervisor's answer: \(error)")
        }
    }

    static func table(_ options: ProcessOptions, _ lines: [ProcessLine], _ scale: ProcessScale) -> String {
        let columns = options.columns
        let header = options.hasHeader ? [columns.map(\.title)] : []
        let rows = header + lines.map { line in columns.map { $0.text(line, scale) } }
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

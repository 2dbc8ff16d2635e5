import Glibc
import JSON
import LinuxSys
import OCISpec
import StateStore

/// `state`: a container's state as JSON (runtime.md, "State").
public enum ShowState {
    public static func run(_ context: RuntimeContext, id text: String) throws(RuntimeError) {
        let (_, record) = try context.record(text)
        Output.print(record.publicState.text(.pretty) + "\n")
    }
}

/// `features`: what this runtime can do, for callers that ask before they write a config.json (features.md).
public enum ShowFeatures {
    public static func run() { Output.print(Features.current.json.text(.pretty) + "\n") }
}

/// `list`: every container of the root.
public enum ShowList {
    public enum Format: String, CaseIterable, Sendable { case table, json }

    public static func run(_ context: RuntimeContext, format: Format, quiet: Bool) throws(RuntimeError) {
        let ids: [ContainerID]
        do throws(StateError) { ids = try context.store.all() } catch { throw RuntimeError("\(error)") }
        // One that is being made or removed at this moment has no readable state, and is passed over.
        let records = ids.compactMap { id in (try? context.store.record(of: id)).map { (id, $0) } }
        if quiet { return Output.print(records.map { $0.0.text + "\n" }.joined()) }
        let users = HostUsers()
        let owned = records.map { id, record in
            // runc's form for a user that the host has no name for.
            (record: record, owner: context.store.owner(of: id).map { users[$0] ?? "#\($0)" } ?? "")
        }
        switch format {
        case .json:
            Output.print(JSONValue.array(owned.map { $0.record.publicState(owner: $0.owner) }).text() + "\n")
        case .table: Output.print(table(owned))
        }
    }

    static func table(_ containers: [(record: ContainerRecord, owner: String)]) -> String {
        let rows =
            [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
            + containers.map { record, owner in
                let status = record.currentStatus
                let pid = status == .stopped ? "0" : "\(record.pid)"
                return [record.id, pid, status.rawValue, record.bundle, record.created, owner]
            }
        let widths = (0..<6).map { column in max(11, rows.map { $0[column].count }.max() ?? 0) }
        return rows.map { row in
            let cells = zip(row, widths).dropLast().map { cell, width in
                cell + String(repeating: " ", count: width - cell.count + 1)
            }
            return cells.joined() + row[5] + "\n"
        }.joined()
    }
}

/// `spec`: writes the default config.json.
public enum WriteSpec {
    /// - Parameter rootless: runc's for users without privileges; kvm-runtime refuses to run it until it has user namespaces.
    public static func run(bundle: String?, rootless: Bool) throws(RuntimeError) {
        let directory = bundle ?? "."
        let path = directory + "/config.json"
        if File.exists(path) { throw RuntimeError("File config.json exists. Remove it first") }
        do throws(Errno) {
            let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o666)
            let spec = rootless ? Spec.default.rootless(uid: geteuid(), gid: getegid()) : Spec.default
            try file.writeAll(spec.json.bytes(.tabs))
        } catch {
            throw RuntimeError("can't write \(path): \(error)")
        }
    }
}

import AgentProtocol
import Glibc
import JailCompiler
import LinuxSys
import OCISpec
import Spawn
import StateStore

/// The namespaces with a path that a configuration asks for (config-linux.md, "Namespaces"). A path is of the host, where a
/// container's namespaces are those of its stand-in; a container that wants one of them has to be in the other one's
/// guest, for that is where they really are. This is how pods come.
struct JoinedNamespaces: Equatable {
    /// The container whose guest it is to be in.
    let sandbox: ContainerID
    /// Its guest's memory.
    let memoryMiB: Int
    let joins: [NamespaceJoin]
    /// The same on the host, for the stand-in.
    let standIns: [StandInProcess.Join]

    private static let kinds: [(Linux.Namespace.Kind, file: String)] = [
        (.network, "net"), (.ipc, "ipc"), (.uts, "uts"), (.pid, "pid"),
    ]

    private struct Identity: Equatable {
        var device: UInt64
        var inode: UInt64

        init(_ path: String) throws(Errno) {
            var status = stat()
            _ = try once { stat(path, &status) }
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }
    }

    /// nil: no namespace has a path.
    /// - Throws: names the one that is no container's, or can't be joined.
    static func find(_ spec: Spec, in store: StateStore) throws(RuntimeError) -> JoinedNamespaces? {
        let namespaces = spec.linux?.namespaces ?? []
        guard namespaces.contains(where: { !$0.path.isEmpty }) else { return nil }
        let others = running(in: store)
        var sandbox: (id: ContainerID, memoryMiB: Int)?
        var joins: [NamespaceJoin] = []
        var standIns: [StandInProcess.Join] = []
        for (index, namespace) in namespaces.enumerated() where !namespace.path.isEmpty {
            let field = "linux.namespaces[\(index)].path"
            guard let file = kinds.first(where: { $0.0 == namespace.type })?.file,
                let flag = NamespaceFlag.of(namespace.type)
            else {
                throw RuntimeError("\(field): joining a \(namespace.type.rawValue) namespace is not supported")
            }
            let wanted: Identity
            do throws(Errno) { wanted = try Identity(namespace.path) } catch {
                throw RuntimeError("\(field): \(namespace.path): \(error)")
            }
            guard let other = others.first(where: { (try? Identity("/proc/\($0.record.pid)/ns/\(file)")) == wanted })
            else {
                throw RuntimeError(
                    "\(field): \(namespace.path) is no namespace of a container under \(store.root); namespaces of the host "
                        + "can't be joined from inside a guest")
            }
            let owner = ContainerID(other.record.sandbox) ?? other.id
            guard sandbox == nil || sandbox?.id == owner else {
                throw RuntimeError("\(field): \(namespace.path) is in another guest than the other namespaces")
            }
            sandbox = (owner, other.record.memoryMiB)
            joins.append(NamespaceJoin(container: other.id.text, namespaces: flag))
            // Its pid namespace is always its own: its end must not depend on the other's.
            if namespace.type != .pid { standIns.append(.init(path: namespace.path, kind: flag)) }
        }
        return sandbox.map {
            JoinedNamespaces(sandbox: $0.id, memoryMiB: $0.memoryMiB, joins: joins, standIns: standIns)
        }
    }

    private static func running(in store: StateStore) -> [(id: ContainerID, record: ContainerRecord)] {
        ((try? store.all()) ?? []).compactMap { id in
            guard let record = try? store.record(of: id) else { return nil }
            switch record.currentStatus {
            case .created, .running, .paused: return (id, record)
            case .creating, .stopped: return nil
            }
        }
    }
}

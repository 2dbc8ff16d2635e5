import AgentProtocol
import Glibc
import JSON
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
    /// Whose user namespace it is to be in.
    let users: ContainerID?

    private static let kinds: [(Linux.Namespace.Kind, file: String)] = [
        (.network, "net"), (.ipc, "ipc"), (.uts, "uts"), (.pid, "pid"), (.user, "user"), (.cgroup, "cgroup"),
        (.time, "time"),
    ]
    /// Those that a container may have none of, on the host and in the guest: who asks for the host's has the guest's.
    private static let shareable: Set<Linux.Namespace.Kind> = [.user, .cgroup, .time]

    /// nil: no namespace has a path.
    /// - Throws: names the one that is no container's, or can't be joined.
    static func find(_ spec: Spec, in store: StateStore) throws(RuntimeError) -> JoinedNamespaces? {
        let namespaces = spec.linux?.namespaces ?? []
        guard namespaces.contains(where: { !$0.path.isEmpty }) else { return nil }
        let others = running(in: store)
        var sandbox: (id: ContainerID, memoryMiB: Int)?
        var joins: [NamespaceJoin] = []
        var standIns: [StandInProcess.Join] = []
        var users: ContainerID?
        for (index, namespace) in namespaces.enumerated() where !namespace.path.isEmpty {
            let field = "linux.namespaces[\(index)].path"
            guard let file = kinds.first(where: { $0.0 == namespace.type })?.file,
                let flag = NamespaceFlag.of(namespace.type)
            else {
                throw RuntimeError(
                    "\(field): joining a \(namespace.type.rawValue) namespace is not supported: a root file system of its "
                        + "own would take the place of the other's")
            }
            let wanted: FileIdentity
            do throws(Errno) { wanted = try FileIdentity(of: namespace.path) } catch {
                throw RuntimeError("\(field): \(namespace.path): \(error)")
            }
            if shareable.contains(namespace.type), wanted == (try? FileIdentity(of: "/proc/self/ns/\(file)")) {
                // One of a container's that the host could not make for it would be the guest's own.
                guard
                    !others.contains(where: {
                        namespace.path == "/proc/\($0.record.pid)/ns/\(file)" && has(namespace.type, $0.id, store)
                    })
                else {
                    throw RuntimeError(
                        "\(field): \(namespace.path) is in the guest only: this host has no such namespaces")
                }
                continue
            }
            guard
                let other = others.first(where: {
                    (try? FileIdentity(of: "/proc/\($0.record.pid)/ns/\(file)")) == wanted
                })
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
            if namespace.type == .user { users = other.id }
            joins.append(NamespaceJoin(container: other.id.text, namespaces: flag))
            // Its pid namespace is always its own: its end must not depend on the other's.
            if namespace.type != .pid { standIns.append(.init(path: namespace.path, kind: flag)) }
        }
        return sandbox.map {
            JoinedNamespaces(
                sandbox: $0.id, memoryMiB: $0.memoryMiB, joins: joins, standIns: standIns, users: users)
        }
    }

    /// The maps of the user namespace that it is to be in, where its configuration does not say them.
    func completeMaps(of spec: inout Spec, in store: StateStore) {
        guard let users, spec.linux?.uidMappings.isEmpty ?? false,
            let other = try? Spec(json: try JSONValue.parse(try store.spec(of: users)))
        else { return }
        spec.linux?.uidMappings = other.linux?.uidMappings ?? []
        spec.linux?.gidMappings = other.linux?.gidMappings ?? []
    }

    /// Whether a container has a namespace of this kind of its own.
    private static func has(_ kind: Linux.Namespace.Kind, _ id: ContainerID, _ store: StateStore) -> Bool {
        guard let spec = try? Spec(json: try JSONValue.parse(try store.spec(of: id))) else { return true }
        return spec.linux?.namespaces.contains { $0.type == kind } ?? false
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

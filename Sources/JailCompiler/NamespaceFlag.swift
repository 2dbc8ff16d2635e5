import AgentProtocol
import OCISpec

extension NamespaceFlag {
    /// nil: the guest can't make one.
    public static func of(_ kind: Linux.Namespace.Kind) -> UInt64? {
        switch kind {
        case .mount: mount
        case .cgroup: cgroup
        case .uts: uts
        case .ipc: ipc
        case .pid: pid
        case .network: network
        case .time: time
        case .user: user
        }
    }
}

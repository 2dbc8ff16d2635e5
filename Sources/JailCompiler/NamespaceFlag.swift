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

extension Linux {
    /// As /proc/PID/timens_offsets takes them.
    public var timeOffsetLines: String {
        timeOffsets.sorted { $0.key < $1.key }
            .map { "\($0.key) \($0.value.secs) \($0.value.nanosecs)\n" }.joined()
    }
}

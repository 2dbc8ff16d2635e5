import CSpawn
import LinuxSys

/// A child that does nothing: it keeps a place until others are there. It goes with its owner, or with this process.
public struct Placeholder: ~Copyable, Sendable {
    public let pid: pid_t

    public init() throws(Errno) {
        pid = try once { cspawn_placeholder() }
    }

    deinit { ProcessControl.end(pid) }
}

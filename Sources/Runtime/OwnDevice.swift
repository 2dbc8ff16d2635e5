import AgentProtocol
import Glibc
import JailCompiler

/// Devices of the host that are no different from the guest's own, so that one can stand for the other.
extension PassedDescriptor.Device {
    /// Major number 1 has them all.
    private static let major: UInt32 = 1

    private var minor: UInt32 {
        switch self {
        case .null: 3
        case .zero: 5
        case .full: 7
        case .random: 8
        case .urandom: 9
        }
    }

    /// nil: it is another device, or none.
    init?(_ status: stat) {
        guard status.st_mode & mode_t(S_IFMT) == mode_t(S_IFCHR), status.st_rdev >> 8 == UInt64(Self.major),
            let device = Self.allCases.first(where: { UInt64($0.minor) == status.st_rdev & 0xff })
        else { return nil }
        self = device
    }

    /// nil also if there is nothing at `path`.
    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    var node: JailOperation.Node { JailOperation.Node(mode: 0o020666, major: Self.major, minor: minor) }
}

import AgentProtocol
import CJail
import CLinux
import LinuxSys

/// What a process has behind its stdio.
public enum PassedEnd {
    case descriptor(SharedDescriptor)
    /// The child opens it: an absolute path in the guest, flags of open(2), where it stands.
    case file(path: String, flags: UInt32, offset: UInt64)
}

/// A container's first process while it is being made: between clone and exec.
public final class JailChild {
    /// What the child says.
    public enum Event {
        /// The process is a child of its own, and no longer the one that was made first.
        case forked(pid_t)
        /// All is done but exec. The time is CLOCK_BOOTTIME, when the rootfs had been mounted.
        case ready(rootfsMounted: UInt64)
        case terminal(SharedDescriptor)
        case failed(StepFailure)
        /// The child has let go of the socket: by exec if it was `ready`, else it is dead.
        case closed
    }

    /// The child, or the helper that makes it.
    public let pid: pid_t
    private let socket: FileDescriptor

    /// The descriptor to watch for reading.
    public var raw: CInt { socket.raw }

    /// Makes the child. `stdio` are the container's ends, three, nil is /dev/null; `cgroup` is the directory of its cgroup.
    public init(_ plan: FlatPlan, stdio: [CInt?], passed: [PassedEnd] = [], cgroup: CInt?) throws(Errno) {
        let (ours, theirs) = try Sockets.pair(.packets).split()
        socket = FileDescriptor(owning: ours)
        let childSide = FileDescriptor(owning: theirs)
        pid = plan.spawn(stdio: stdio, passed: passed, cgroup: cgroup ?? -1, sync: childSide.raw)
        if pid < 0 { throw Errno.current }
    }

    /// Makes a process beside a container's init, which `init` is a pidfd of; the first event is `forked`.
    public init(
        _ plan: FlatPlan, beside container: FlatPlan, init: CInt, stdio: [CInt?], passed: [PassedEnd],
        cgroup: CInt
    ) throws(Errno) {
        let (ours, theirs) = try Sockets.pair(.packets).split()
        socket = FileDescriptor(owning: ours)
        let childSide = FileDescriptor(owning: theirs)
        pid = plan.join(
            container, init: `init`, stdio: stdio, passed: passed, cgroup: cgroup, sync: childSide.raw)
        if pid < 0 { throw Errno.current }
    }

    /// The next thing that the child said; nil: nothing yet.
    public func next() throws(Errno) -> Event? {
        var report = cjail_report()
        var descriptor: CInt = -1
        do throws(Errno) {
            if try once({ cjail_receive(socket.raw, &report, &descriptor) }) == 0 { return .closed }
        } catch .wouldBlock {
            return nil
        } catch {
            throw error
        }
        switch cjail_report_kind(report.kind) {
        case CJAIL_FORKED where report.pid > 0: return .forked(report.pid)
        case CJAIL_READY: return .ready(rootfsMounted: report.rootfs_mounted)
        case CJAIL_TERMINAL where descriptor >= 0:
            return .terminal(SharedDescriptor(FileDescriptor(owning: descriptor)))
        default:
            return .failed(StepFailure(step: report.step, index: report.op, errno: report.error))
        }
    }

    /// Lets the child exec.
    public func proceed() throws(Errno) { _ = try socket.write([1]) }
}

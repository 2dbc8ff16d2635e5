import AgentProtocol
import LinuxSys

extension JailPlan {
    /// What the child failed at, in the words of runc where it has some.
    public func failure(_ failure: StepFailure) -> Failure {
        let error = Errno(rawValue: failure.errno)
        let index = Int(failure.index)
        let program = process.arguments.first ?? ""
        switch JailStep(rawValue: failure.step) {
        case .operation:
            let subject = operations.indices.contains(index) ? operations[index].subject : "step \(index)"
            return .container("\(subject): \(error.words)")
        case .namespaces: return .container("namespaces: \(error.words)")
        case .rootfs: return .container("mounting the rootfs: \(error.words)")
        case .pivot: return .container("pivot_root: \(error.words)")
        case .terminal:
            return .container("the terminal could not be made (is a devpts mounted on /dev/pts?): \(error.words)")
        case .stdio where index > 0: return .container("--preserve-fds: descriptor \(index): \(error.words)")
        case .stdio: return .container("standard input, output and error: \(error.words)")
        case .limits:
            let type = process.limits.indices.contains(index) ? process.limits[index].resource : -1
            return .container("error setting rlimit type \(type): \(error.words)")
        case .cwd:
            return .container("chdir to cwd (\(quoted(process.cwd))) set in config.json failed: \(error.words)")
        case .capabilities: return .container("unable to apply caps: \(error.words)")
        case .groups: return .container("setgroups: \(error.words)")
        case .user: return .container("setting user \(process.uid):\(process.gid): \(error.words)")
        case .lookup: return Self.lookupFailure(program, error)
        case .exec: return Failure(kind: Self.kind(error), message: "exec \(program): \(error.words)")
        case .seccomp: return .container("unable to init seccomp: \(error.words)")
        case .oomScore: return .container("process.oomScoreAdj: \(error.words)")
        case .scheduler: return .container("process.scheduler: \(error.words)")
        case .ioPriority: return .container("process.ioPriority: \(error.words)")
        case .personality: return .container("linux.personality: \(error.words)")
        case .memoryPolicy: return .container("linux.memoryPolicy: \(error.words) (the guest's kernel decides)")
        case .affinity:
            let name = index == 0 ? "initial" : "final"
            return .container("process.execCPUAffinity.\(name): \(error.words) (the guest's processors are meant)")
        case .idMaps:
            let what =
                index == 0 ? "linux.uidMappings" : index == 1 ? "linux.gidMappings" : "root of the user namespace"
            return .container("\(what): \(error.words)")
        case .timeOffsets: return .container("linux.timeOffsets: \(error.words)")
        case .hook: return .container("error running startContainer hook #\(index): \(Self.hookOutcome(failure.errno))")
        case .join: return .container("joining the container's namespaces: \(error.words)")
        case .sync, nil: return Failure(kind: .guest, message: "the container's first process: \(error.words)")
        }
    }

    /// In the words of Go's exec.
    private static func hookOutcome(_ outcome: Int32) -> String {
        let detail = outcome & HookOutcome.detail
        switch outcome & ~HookOutcome.detail {
        case HookOutcome.exited: return "exit status \(detail)"
        case HookOutcome.signaled: return "signal \(detail)"
        case HookOutcome.timedOut: return "it took longer than its timeout"
        default: return Errno(rawValue: outcome).words
        }
    }

    /// As Go's exec.LookPath puts it.
    private static func lookupFailure(_ program: String, _ error: Errno) -> Failure {
        let message: String
        if !program.utf8.contains(UInt8(ascii: "/")) {
            message = "executable file not found in $PATH"
        } else if error == .accessDenied || error == .isDirectory {
            // A directory is nothing that may be executed, in the words that callers know.
            message = Errno.accessDenied.words
        } else {
            message = "stat \(program): \(error.words)"
        }
        return Failure(kind: kind(error), message: "exec: \(quoted(program)): \(message)")
    }

    private static func kind(_ error: Errno) -> Failure.Kind {
        switch error {
        case .noSuchFile, .notDirectory: .programNotFound
        // With a format that the kernel doesn't know (ENOEXEC, 8), a program is as good as not executable.
        case .accessDenied, .notPermitted, .isDirectory, Errno(rawValue: 8): .programNotExecutable
        default: .container
        }
    }
}

extension Failure {
    fileprivate static func container(_ message: String) -> Failure { Failure(kind: .container, message: message) }
}

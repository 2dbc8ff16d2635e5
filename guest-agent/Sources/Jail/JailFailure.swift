import AgentProtocol
import CJail
import LinuxSys

extension JailPlan {
    /// What the child failed at, in the words of runc where it has some.
    func failure(_ report: cjail_report) -> Failure {
        let error = Errno(rawValue: report.error)
        let program = process.arguments.first ?? ""
        switch cjail_step(report.step) {
        case CJAIL_STEP_OPERATION:
            let index = Int(report.op)
            let subject = operations.indices.contains(index) ? operations[index].subject : "step \(index)"
            return .container("\(subject): \(error.words)")
        case CJAIL_STEP_NAMESPACES: return .container("namespaces: \(error.words)")
        case CJAIL_STEP_ROOTFS: return .container("mounting the rootfs: \(error.words)")
        case CJAIL_STEP_PIVOT: return .container("pivot_root: \(error.words)")
        case CJAIL_STEP_TERMINAL:
            return .container("the terminal could not be made (is a devpts mounted on /dev/pts?): \(error.words)")
        case CJAIL_STEP_STDIO: return .container("standard input, output and error: \(error.words)")
        case CJAIL_STEP_LIMITS:
            let index = Int(report.op)
            let type = process.limits.indices.contains(index) ? process.limits[index].resource : -1
            return .container("error setting rlimit type \(type): \(error.words)")
        case CJAIL_STEP_CWD:
            return .container("chdir to cwd (\(quoted(process.cwd))) set in config.json failed: \(error.words)")
        case CJAIL_STEP_CAPABILITIES: return .container("unable to apply caps: \(error.words)")
        case CJAIL_STEP_GROUPS: return .container("setgroups: \(error.words)")
        case CJAIL_STEP_USER:
            return .container("setting user \(process.uid):\(process.gid): \(error.words)")
        case CJAIL_STEP_LOOKUP: return Self.lookupFailure(program, error)
        case CJAIL_STEP_EXEC:
            return Failure(kind: Self.kind(error), message: "exec \(program): \(error.words)")
        default: return Failure(kind: .guest, message: "the container's first process: \(error.words)")
        }
    }

    /// As Go's exec.LookPath puts it.
    private static func lookupFailure(_ program: String, _ error: Errno) -> Failure {
        let message: String
        if !program.utf8.contains(UInt8(ascii: "/")) {
            message = "executable file not found in $PATH"
        } else if error == .accessDenied || error == .isDirectory {
            message = error.words
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
    static func container(_ message: String) -> Failure { Failure(kind: .container, message: message) }
}

extension Errno {
    /// As Go has it, and so runc: the kernel's words in small letters.
    public var words: String {
        let text = description
        guard let first = text.first, text.utf8.dropFirst().first.map({ $0 < 0x41 || $0 > 0x5a }) ?? true else {
            return text
        }
        return first.lowercased() + text.dropFirst()
    }
}

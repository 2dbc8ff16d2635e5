extension Linux.Seccomp {
    /// What a filter does about a call, by the names of the specification.
    public enum Action: String, CaseIterable, Sendable {
        case kill = "SCMP_ACT_KILL"
        case killThread = "SCMP_ACT_KILL_THREAD"
        case killProcess = "SCMP_ACT_KILL_PROCESS"
        case trap = "SCMP_ACT_TRAP"
        case errno = "SCMP_ACT_ERRNO"
        case trace = "SCMP_ACT_TRACE"
        case allow = "SCMP_ACT_ALLOW"
        case log = "SCMP_ACT_LOG"
        /// Refused: its descriptor can't cross from a guest to the host.
        case notify = "SCMP_ACT_NOTIFY"
    }

    /// How an argument is compared; the numbers are libseccomp's.
    public enum Comparison: UInt32, CaseIterable, Sendable {
        case notEqual = 1
        case less, lessOrEqual, equal, greaterOrEqual, greater, maskedEqual

        static let names = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map { "SCMP_CMP_" + $0 }

        public init?(named name: String) {
            guard let index = Self.names.firstIndex(of: name) else { return nil }
            self.init(rawValue: UInt32(index + 1))
        }
    }

    /// Flags of seccomp(2), by the names of the specification; the guest loads the filter before there is a second thread,
    /// so that TSYNC changes nothing.
    public static let flagNumbers: [String: UInt32] = [
        "SECCOMP_FILTER_FLAG_TSYNC": 1, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
    ]

    /// Refused: it is about a listener of notifications, and the kernel takes it with none.
    static let flagOfListeners = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"

    /// libseccomp's names of architectures, by those of the specification.
    public static let architectureNames: [String: String] = [
        "SCMP_ARCH_X86": "x86", "SCMP_ARCH_X86_64": "x86_64", "SCMP_ARCH_X32": "x32", "SCMP_ARCH_ARM": "arm",
        "SCMP_ARCH_AARCH64": "aarch64", "SCMP_ARCH_MIPS": "mips", "SCMP_ARCH_MIPS64": "mips64",
        "SCMP_ARCH_MIPS64N32": "mips64n32", "SCMP_ARCH_MIPSEL": "mipsel", "SCMP_ARCH_MIPSEL64": "mipsel64",
        "SCMP_ARCH_MIPSEL64N32": "mipsel64n32", "SCMP_ARCH_PPC": "ppc", "SCMP_ARCH_PPC64": "ppc64",
        "SCMP_ARCH_PPC64LE": "ppc64le", "SCMP_ARCH_S390": "s390", "SCMP_ARCH_S390X": "s390x",
        "SCMP_ARCH_PARISC": "parisc", "SCMP_ARCH_PARISC64": "parisc64", "SCMP_ARCH_RISCV64": "riscv64",
    ]

    /// A number of errno, where nothing is said: EPERM.
    public static let defaultErrno: UInt = 1
    /// The largest that libseccomp takes; the kernel would take one more.
    static let largestErrno: UInt = 4094
    /// What a tracer is told has 16 bits.
    static let largestTraceData: UInt = 65535

    func validate(path: String) throws(SpecError) {
        guard isEnabled else { return }
        try Self.check(defaultAction, errno: defaultErrnoRet, path: "\(path).defaultAction", "\(path).defaultErrnoRet")
        for (index, name) in architectures.enumerated() where Self.architectureNames[name] == nil {
            throw Check.fail("\(path).architectures[\(index)]", "unknown architecture \(Check.quoted(name))")
        }
        for (index, name) in (flags ?? []).enumerated() {
            guard Self.flagNumbers[name] != nil else {
                throw Check.fail("\(path).flags[\(index)]", "unknown flag \(Check.quoted(name))")
            }
            guard name != Self.flagOfListeners else {
                throw Check.fail("\(path).flags[\(index)]", "\(name) is not supported: it needs a listener")
            }
        }
        for (index, call) in syscalls.enumerated() {
            let path = "\(path).syscalls[\(index)]"
            if call.names.isEmpty { throw Check.fail("\(path).names", "is empty") }
            try Self.check(call.action, errno: call.errnoRet, path: "\(path).action", "\(path).errnoRet")
            for (index, argument) in call.args.enumerated() {
                guard argument.index < 6 else { throw Check.fail("\(path).args[\(index)].index", "must be 0 to 5") }
                if Comparison(named: argument.op) == nil {
                    throw Check.fail("\(path).args[\(index)].op", "unknown operator \(Check.quoted(argument.op))")
                }
            }
        }
    }

    private static func check(_ name: String, errno: UInt?, path: String, _ errnoPath: String) throws(SpecError) {
        guard let action = Action(rawValue: name) else {
            throw Check.fail(path, "unknown action \(Check.quoted(name))")
        }
        if action == .notify {
            throw Check.fail(path, "SCMP_ACT_NOTIFY is not supported: its descriptor can't leave a guest")
        }
        guard let errno else { return }
        guard action == .errno || action == .trace else {
            throw Check.fail(errnoPath, "\(name) has no error number")
        }
        let largest = action == .errno ? largestErrno : largestTraceData
        guard errno <= largest else { throw Check.fail(errnoPath, "must be at most \(largest)") }
    }
}

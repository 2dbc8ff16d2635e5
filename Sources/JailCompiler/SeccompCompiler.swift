import CSeccomp
import LinuxSys
import OCISpec

/// A filter of system calls as the kernel takes it, compiled by libseccomp as runc does it (config-linux.md, "Seccomp").
public struct SeccompFilter: Equatable, Sendable {
    /// Eight bytes an instruction (`struct sock_filter`).
    public var program: [UInt8]
    /// Of seccomp(2).
    public var flags: UInt32

    /// The most that the kernel takes.
    static let mostInstructions = 4096

    /// nil: `seccomp` asks for no filter. What it says has passed `validate()`.
    public init?(_ seccomp: Linux.Seccomp) throws(SpecError) {
        guard seccomp.isEnabled else { return nil }
        let compiler = try SeccompCompiler(seccomp)
        program = (UnknownCalls.concern(seccomp) ? UnknownCalls(seccomp).program : []) + (try compiler.program())
        flags = (seccomp.flags ?? []).reduce(0) { $0 | (Linux.Seccomp.flagNumbers[$1] ?? 0) }
        guard program.count / 8 <= Self.mostInstructions else {
            throw SpecError(
                path: "linux.seccomp",
                message: "has \(program.count / 8) instructions, the kernel takes \(Self.mostInstructions)")
        }
    }
}

extension UnknownCalls {
    /// As runc, it looks at the architectures that the profile names, and at no other.
    fileprivate init(_ seccomp: Linux.Seccomp) {
        func highest(_ architecture: String) -> UInt32? {
            guard seccomp.architectures.contains(architecture) else { return nil }
            let token = cseccomp_architecture(Linux.Seccomp.architectureNames[architecture] ?? "")
            // What libseccomp does not know, or knows as no call of this architecture, is negative.
            let numbers = seccomp.syscalls.lazy.flatMap(\.names).map { cseccomp_call_of(token, $0) }.filter { $0 > 0 }
            return numbers.max().map { UInt32($0) }
        }
        self.init(
            x86: highest("SCMP_ARCH_X86"), amd64: highest("SCMP_ARCH_X86_64"), x32: highest("SCMP_ARCH_X32"))
    }
}

private final class SeccompCompiler {
    private struct Verdict: Equatable {
        var action: UInt32
        var data: UInt32

        init(_ name: String, errno: UInt?) {
            let kind = Linux.Seccomp.Action(rawValue: name) ?? .kill
            action =
                switch kind {
                case .kill, .killThread, .notify: CSECCOMP_KILL_THREAD.rawValue
                case .killProcess: CSECCOMP_KILL_PROCESS.rawValue
                case .trap: CSECCOMP_TRAP.rawValue
                case .errno: CSECCOMP_ERRNO.rawValue
                case .trace: CSECCOMP_TRACE.rawValue
                case .allow: CSECCOMP_ALLOW.rawValue
                case .log: CSECCOMP_LOG.rawValue
                }
            data = kind == .errno || kind == .trace ? UInt32(clamping: errno ?? Linux.Seccomp.defaultErrno) : 0
        }
    }

    private let filter: UnsafeMutableRawPointer

    init(_ seccomp: Linux.Seccomp) throws(SpecError) {
        let standard = Verdict(seccomp.defaultAction, errno: seccomp.defaultErrnoRet)
        guard let filter = cseccomp_new(standard.action, standard.data) else {
            throw SpecError(path: "linux.seccomp", message: "libseccomp can't make a filter")
        }
        self.filter = filter
        for (index, name) in seccomp.architectures.enumerated() {
            let token = cseccomp_architecture(Linux.Seccomp.architectureNames[name] ?? "")
            try check(cseccomp_add_architecture(filter, token), "linux.seccomp.architectures[\(index)]")
        }
        for (index, call) in seccomp.syscalls.enumerated() {
            let verdict = Verdict(call.action, errno: call.errnoRet)
            // A rule that says what is said anyhow is none, to libseccomp an error.
            if verdict == standard { continue }
            for name in call.names { try add(name, verdict, call.args, "linux.seccomp.syscalls[\(index)]") }
        }
    }

    deinit { cseccomp_free(filter) }

    private func add(
        _ name: String, _ verdict: Verdict, _ arguments: [Linux.SyscallArgument], _ path: String
    ) throws(SpecError) {
        let number = cseccomp_call(name)
        // Profiles name calls of all kernels and architectures; those that libseccomp doesn't know are passed over.
        if number == -1 { return }
        let conditions = arguments.map { argument in
            cseccomp_condition(
                argument: UInt32(argument.index),
                compare: Linux.Seccomp.Comparison(named: argument.op)?.rawValue ?? 0, a: argument.value,
                b: argument.valueTwo)
        }
        // Two conditions on one argument can't both be in one rule: either of them is enough then, as with runc.
        if Set(arguments.map(\.index)).count < arguments.count {
            for condition in conditions { try add(number, verdict, [condition], path) }
        } else {
            try add(number, verdict, conditions, path)
        }
    }

    private func add(
        _ number: Int32, _ verdict: Verdict, _ conditions: [cseccomp_condition], _ path: String
    ) throws(SpecError) {
        try check(
            cseccomp_add_rule(
                filter, verdict.action, verdict.data, number, conditions, UInt32(conditions.count)), path)
    }

    func program() throws(SpecError) -> [UInt8] {
        var result: Int32 = 0
        let bytes: [UInt8]
        do throws(Errno) {
            let file = try MemoryFile.make("seccomp", contents: [])
            result = cseccomp_export(filter, file.raw)
            bytes = try MemoryFile.contents(of: file, limit: 1 << 20)
        } catch {
            throw SpecError(path: "linux.seccomp", message: "\(error)")
        }
        try check(result, "linux.seccomp")
        return bytes
    }

    private func check(_ result: Int32, _ path: String) throws(SpecError) {
        guard result < 0 else { return }
        throw SpecError(path: path, message: "libseccomp: \(Errno(rawValue: -result).words)")
    }
}

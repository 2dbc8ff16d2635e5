import OCISpec

/// What runc puts in front of libseccomp's filter (its `patchbpf`): a call with a higher number than any that the profile
/// names is one that the profile's author did not know, and it fails with ENOSYS, as if the kernel did not know it either.
/// Programs then fall back to an older call, which they do not after EPERM.
struct UnknownCalls {
    /// The highest number that the profile names, by architecture; nil: it is not in the filter.
    var x86: UInt32?
    var amd64: UInt32?
    /// With the bit that tells it from amd64.
    var x32: UInt32?

    private static let bitOfX32: UInt32 = 1 << 30
    /// SECCOMP_RET_ERRNO with ENOSYS.
    private static let noSuchCall: UInt32 = 0x0005_0000 | 38

    private enum Architecture {
        static let x86: UInt32 = 0x4000_0003
        static let amd64: UInt32 = 0xc000_003e
    }

    private enum Code {
        static let load: UInt16 = 0x20
        static let jump: UInt16 = 0x05
        static let jumpIfEqual: UInt16 = 0x15
        static let jumpIfGreater: UInt16 = 0x25
        static let jumpIfSet: UInt16 = 0x45
        static let answer: UInt16 = 0x06
    }

    /// Offsets in `struct seccomp_data`.
    private enum Field {
        static let number: UInt32 = 0
        static let architecture: UInt32 = 4
    }

    /// Whether a profile gets it: one that forbids by default, and not by ENOSYS itself. A tracer is to see every call.
    static func concern(_ seccomp: Linux.Seccomp) -> Bool {
        switch Linux.Seccomp.Action(rawValue: seccomp.defaultAction) {
        case .allow, .log, .trace: false
        default: seccomp.defaultErrnoRet != 38
        }
    }

    /// The program, of which the end is where the filter begins; empty if there is nothing to say.
    var program: [UInt8] {
        guard x86 != nil || amd64 != nil || x32 != nil else { return [] }
        var code = instruction(Code.load, Field.architecture)
        let both = section(Architecture.amd64, bodyOfAMD64)
        if let x86 {
            code += section(
                Architecture.x86,
                instruction(Code.jumpIfGreater, x86, yes: 0, no: 1) + instruction(Code.answer, Self.noSuchCall)
                    + instruction(Code.jump, UInt32(both.count / 8)))
        }
        return code + both
    }

    private var bodyOfAMD64: [UInt8] {
        guard amd64 != nil || x32 != nil else { return [] }
        // What is not in the filter is the filter's business: no number is higher than this.
        return instruction(Code.jumpIfSet, Self.bitOfX32, yes: 1, no: 0)
            + instruction(Code.jumpIfGreater, amd64 ?? .max, yes: 1, no: 2)
            + instruction(Code.jumpIfGreater, x32 ?? .max, yes: 0, no: 1)
            + instruction(Code.answer, Self.noSuchCall)
    }

    /// Passes over `body` for other architectures.
    private func section(_ architecture: UInt32, _ body: [UInt8]) -> [UInt8] {
        guard !body.isEmpty else { return [] }
        let load = instruction(Code.load, Field.number)
        return instruction(Code.jumpIfEqual, architecture, yes: 0, no: UInt8((load.count + body.count) / 8)) + load
            + body
    }

    /// `struct sock_filter`, little-endian.
    private func instruction(_ code: UInt16, _ operand: UInt32, yes: UInt8 = 0, no: UInt8 = 0) -> [UInt8] {
        [UInt8(truncatingIfNeeded: code), UInt8(code >> 8), yes, no]
            + (0..<4).map { UInt8(truncatingIfNeeded: operand >> (8 * $0)) }
    }
}

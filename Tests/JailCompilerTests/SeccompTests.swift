import JSON
import JailCompiler
import OCISpec
import Testing

/// What a compiled filter says of a call, by the kernel's rules for such programs (classic BPF over `struct seccomp_data`).
private struct Machine {
    static let x86: UInt32 = 0xC000_003E
    let program: [(code: UInt16, yes: UInt8, no: UInt8, value: UInt32)]

    init(_ filter: SeccompFilter) {
        program = stride(from: 0, to: filter.program.count, by: 8).map { at in
            let bytes = filter.program
            let code = UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
            let value = (4..<8).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[at + $1]) }
            return (code, bytes[at + 2], bytes[at + 3], value)
        }
    }

    func verdict(_ call: UInt32, _ arguments: [UInt64] = [], architecture: UInt32 = Machine.x86) -> UInt32? {
        var data = [call, architecture, 0, 0]
        for index in 0..<6 {
            let argument = index < arguments.count ? arguments[index] : 0
            data += [UInt32(truncatingIfNeeded: argument), UInt32(argument >> 32)]
        }
        var accumulator: UInt32 = 0
        var at = 0
        while at < program.count {
            let step = program[at]
            at += 1
            switch step.code {
            case 0x20: accumulator = data[Int(step.value) / 4]
            case 0x54: accumulator &= step.value
            case 0x05: at += Int(step.value)
            case 0x15: at += Int(accumulator == step.value ? step.yes : step.no)
            case 0x25: at += Int(accumulator > step.value ? step.yes : step.no)
            case 0x45: at += Int(accumulator & step.value != 0 ? step.yes : step.no)
            case 0x35: at += Int(accumulator >= step.value ? step.yes : step.no)
            case 0x06: return step.value
            default: return nil
            }
        }
        return nil
    }
}

@Suite struct SeccompTests {
    private let allow: UInt32 = 0x7fff_0000
    private func errno(_ number: UInt32) -> UInt32 { 0x0005_0000 | number }

    private func machine(_ json: String) throws -> Machine {
        let seccomp = try Linux.Seccomp(decoding: JSONCursor(try JSONValue.parse(Array(json.utf8))))
        return Machine(try #require(try SeccompFilter(seccomp)))
    }

    @Test func namesActionsAndErrors() throws {
        let machine = try machine(
            #"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],"#
                + #""syscalls":[{"names":["read","write","no_such_call"],"action":"SCMP_ACT_ALLOW"},"#
                + #"{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":13},"#
                + #"{"names":["rmdir"],"action":"SCMP_ACT_ERRNO"},{"names":["chdir"],"action":"SCMP_ACT_KILL_PROCESS"},"#
                + #"{"names":["getcwd"],"action":"SCMP_ACT_TRAP"},{"names":["sync"],"action":"SCMP_ACT_LOG"}]}"#)
        #expect(machine.verdict(0) == allow && machine.verdict(1) == allow)
        #expect(machine.verdict(2) == errno(38))
        #expect(machine.verdict(83) == errno(13) && machine.verdict(84) == errno(1))
        #expect(machine.verdict(80) == 0x8000_0000 && machine.verdict(79) == 0x0003_0000)
        #expect(machine.verdict(162) == 0x7ffc_0000)
        // A call by the numbers of another machine is not let through.
        #expect(machine.verdict(0, architecture: 0x4000_0003) == 0)
    }

    private static let i386: UInt32 = 0x4000_0003
    private static let x32: UInt32 = 1 << 30

    @Test("a call that is newer than the profile is one that the kernel does not know, as with runc")
    func newerThanTheProfile() throws {
        func profile(_ fields: String, _ architectures: String = "\"SCMP_ARCH_X86_64\"") -> String {
            #"{"architectures":["# + architectures + #"],"syscalls":[{"names":["read","close_range"],"action":"#
                + #""SCMP_ACT_ALLOW"},{"names":["mkdir"],"action":"SCMP_ACT_KILL"}],"# + fields + "}"
        }
        let all = #""SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32""#
        let machine = try machine(profile(#""defaultAction":"SCMP_ACT_ERRNO""#, all))
        // close_range is 436 everywhere, in x32 too.
        for (bit, architecture) in [(0, Machine.x86), (0, Self.i386), (Self.x32, Machine.x86)] {
            #expect(machine.verdict(436 | bit, architecture: architecture) == allow)
            #expect(machine.verdict(437 | bit, architecture: architecture) == errno(38))
            #expect(machine.verdict(435 | bit, architecture: architecture) == errno(1))
        }
        #expect(machine.verdict(83) == 0)
        // Where an architecture is not named, its calls are what libseccomp makes of them.
        let one = try self.machine(profile(#""defaultAction":"SCMP_ACT_ERRNO""#))
        #expect(one.verdict(437) == errno(38))
        #expect(one.verdict(437, architecture: Self.i386) == 0 && one.verdict(437 | Self.x32) == 0)
        // A profile that lets calls through by default, or says ENOSYS itself, has its own way.
        for fields in [#""defaultAction":"SCMP_ACT_LOG""#, #""defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38"#] {
            let machine = try self.machine(profile(fields, all))
            #expect(machine.verdict(437) == machine.verdict(435))
        }
        let killing = try self.machine(profile(#""defaultAction":"SCMP_ACT_KILL_PROCESS""#))
        #expect(killing.verdict(437) == errno(38) && killing.verdict(435) == 0x8000_0000)
    }

    @Test(
        "comparisons of arguments",
        arguments: [
            ("SCMP_CMP_EQ", 7, 0, [7], [6, 8, 0x1_0000_0007]), ("SCMP_CMP_NE", 7, 0, [6, 0x1_0000_0007], [7]),
            ("SCMP_CMP_LT", 7, 0, [6], [7, 8]), ("SCMP_CMP_LE", 7, 0, [7, 6], [8, 0x1_0000_0000]),
            ("SCMP_CMP_GE", 7, 0, [7, 0x1_0000_0000], [6]), ("SCMP_CMP_GT", 7, 0, [8], [7, 6]),
            ("SCMP_CMP_MASKED_EQ", 0x7E02_0000, 0, [0x100, 0x11], [0x0002_0000, 0x1000_0000]),
        ] as [(String, UInt64, UInt64, [UInt64], [UInt64])])
    func arguments(op: String, value: UInt64, second: UInt64, yes: [UInt64], no: [UInt64]) throws {
        let machine = try machine(
            #"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":["#
                + #"{"index":1,"value":\#(value),"valueTwo":\#(second),"op":"\#(op)"}]}]}"#)
        for value in yes { #expect(machine.verdict(56, [0, value]) == allow, "\(op) \(value)") }
        for value in no { #expect(machine.verdict(56, [0, value]) == errno(1), "\(op) \(value)") }
    }

    @Test("conditions on different arguments must all hold; of those on the same one any is enough, as with runc")
    func severalConditions() throws {
        let both = try machine(
            #"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":["#
                + #"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_EQ"}]}]}"#)
        #expect(both.verdict(41, [1, 2]) == allow && both.verdict(41, [1, 3]) == errno(1))
        let any = try machine(
            #"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":["#
                + #"{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":16,"op":"SCMP_CMP_EQ"}]}]}"#)
        #expect(any.verdict(41, [1]) == allow && any.verdict(41, [16]) == allow && any.verdict(41, [2]) == errno(1))
    }

    @Test func flagsAndNothing() throws {
        let flags = try Linux.Seccomp(
            decoding: JSONCursor(["defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]]))
        #expect(try SeccompFilter(flags)?.flags == 2)
        #expect(try SeccompFilter(try Linux.Seccomp(decoding: JSONCursor(.object(JSONObject())))) == nil)
    }

    @Test(
        "what is no filter is refused by the field's path",
        arguments: [
            (#"{"defaultAction":"SCMP_ACT_NONE"}"#, "linux.seccomp.defaultAction: unknown action"),
            (#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#, "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY is not supported"),
            (
                #"{"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
                "linux.seccomp.defaultAction: unknown action"
            ),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","VAX"]}"#,
                "linux.seccomp.architectures[1]: unknown architecture"
            ),
            (#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["F"]}"#, "linux.seccomp.flags[0]: unknown flag"),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
                "linux.seccomp.flags[0]: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is not supported"
            ),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[],"action":"SCMP_ACT_KILL"}]}"#,
                "linux.seccomp.syscalls[0].names: is empty"
            ),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":3}"#,
                "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW has no error number"
            ),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_KILL","errnoRet":3}]}"#,
                "linux.seccomp.syscalls[0].errnoRet: SCMP_ACT_KILL has no error number"
            ),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_ERRNO","errnoRet":4095}]}"#,
                "linux.seccomp.syscalls[0].errnoRet: must be at most 4094"
            ),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_KILL","#
                    + #""args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
                "linux.seccomp.syscalls[0].args[0].index: must be 0 to 5"
            ),
            (
                #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["x"],"action":"SCMP_ACT_KILL","#
                    + #""args":[{"index":0,"value":1,"op":"EQ"}]}]}"#,
                "linux.seccomp.syscalls[0].args[0].op: unknown operator"
            ),
        ])
    func refused(json: String, words: String) throws {
        var spec = Spec.default
        spec.linux?.seccomp = try Linux.Seccomp(decoding: JSONCursor(try JSONValue.parse(Array(json.utf8))))
        let error = #expect(throws: SpecError.self) { try spec.validate() }
        #expect(error?.description.hasPrefix(words) == true, "\(String(describing: error))")
    }
}

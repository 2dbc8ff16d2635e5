import OCISpec

/// `linux.resources.devices` as a program of the kernel's (BPF_PROG_TYPE_CGROUP_DEVICE), which cgroup v2 asks about every
/// opening and making of a device (config-linux.md, "Allowed Device list").
public enum DeviceFilter {
    /// What cgroup v1 calls "a".
    private static let all = UInt32(0b111)

    /// A rule as the program has it: nil is anything.
    struct Rule: Equatable {
        var allow: Bool
        /// 1: block, 2: character.
        var type: UInt32?
        var major: UInt32?
        var minor: UInt32?
        /// 1: mknod, 2: read, 4: write.
        var access: UInt32
    }

    /// What every container may use, behind all that its configuration says: as runc.
    static let standard: [Rule] =
        [
            Rule(allow: true, type: 2, access: 1), Rule(allow: true, type: 1, access: 1),
        ]
        + [(1, 3), (1, 8), (1, 7), (5, 0), (1, 5), (1, 9), (5, 1), (136, nil), (5, 2)].map { major, minor in
            Rule(allow: true, type: 2, major: major, minor: minor, access: all)
        }

    static func rule(_ rule: Linux.DeviceRule) -> Rule {
        let type: UInt32? = rule.type == "b" ? 1 : rule.type == "c" ? 2 : nil
        var access: UInt32 = 0
        for (letter, bit) in [("m", UInt32(1)), ("r", 2), ("w", 4)] where rule.access.contains(letter) { access |= bit }
        // Numbers below zero are how some say "any".
        func number(_ value: Int64?) -> UInt32? { value.flatMap { $0 < 0 ? nil : UInt32(clamping: $0) } }
        return Rule(
            allow: rule.allow, type: type, major: number(rule.major), minor: number(rule.minor),
            access: rule.access.isEmpty ? all : access)
    }

    /// Whether nothing is forbidden.
    static func allowsAll(_ rules: [Linux.DeviceRule]) -> Bool {
        let everything = rules.lastIndex { rule in
            let rule = Self.rule(rule)
            return rule.allow && rule.type == nil && rule.major == nil && rule.minor == nil && rule.access == all
        }
        guard let everything else { return false }
        return rules[everything...].allSatisfy(\.allow)
    }

    /// The program: eight bytes an instruction (`struct bpf_insn`).
    ///
    /// Each kind of access that is asked for (several at once, for O_RDWR) is decided by the last rule that speaks of it;
    /// what no rule speaks of is forbidden. So the rules are gone through from the last to the first, and what is allowed
    /// is struck off.
    public static func program(_ rules: [Linux.DeviceRule]) -> [UInt8] {
        let rules = rules.map(rule) + standard
        var program = Assembler()
        program.begin()
        for rule in rules.reversed() {
            program.add(rule)
            // Nothing before a rule about everything counts any more.
            if rule.type == nil, rule.major == nil, rule.minor == nil, rule.access == all { break }
        }
        return program.finish()
    }

    private struct Assembler {
        private enum Code {
            static let load32: UInt8 = 0x61  // BPF_LDX | BPF_MEM | BPF_W
            static let move: UInt8 = 0xbf  // BPF_ALU64 | BPF_MOV | BPF_X
            static let set: UInt8 = 0xb7  // BPF_ALU64 | BPF_MOV | BPF_K
            static let and: UInt8 = 0x54  // BPF_ALU | BPF_AND | BPF_K
            static let shiftRight: UInt8 = 0x74  // BPF_ALU | BPF_RSH | BPF_K
            static let jumpIfEqual: UInt8 = 0x16  // BPF_JMP32 | BPF_JEQ | BPF_K
            static let jumpIfNot: UInt8 = 0x56  // BPF_JMP32 | BPF_JNE | BPF_K
            static let exit: UInt8 = 0x95
        }

        private enum Register {
            static let result: UInt8 = 0
            static let context: UInt8 = 1
            static let access: UInt8 = 2
            static let type: UInt8 = 3
            static let major: UInt8 = 4
            static let minor: UInt8 = 5
            static let part: UInt8 = 6
        }

        private var bytes: [UInt8] = []

        private mutating func emit(
            _ code: UInt8, _ destination: UInt8, source: UInt8 = 0, offset: Int16 = 0, _ value: UInt32 = 0
        ) {
            bytes += [code, source << 4 | destination]
            bytes += [UInt8(truncatingIfNeeded: offset), UInt8(truncatingIfNeeded: offset >> 8)]
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
        }

        /// `struct bpf_cgroup_dev_ctx`: access and type in one word, then the numbers.
        mutating func begin() {
            emit(Code.load32, Register.access, source: Register.context, offset: 0)
            emit(Code.move, Register.type, source: Register.access)
            emit(Code.and, Register.type, 0xffff)
            emit(Code.shiftRight, Register.access, 16)
            emit(Code.load32, Register.major, source: Register.context, offset: 4)
            emit(Code.load32, Register.minor, source: Register.context, offset: 8)
        }

        mutating func add(_ rule: Rule) {
            var body = Assembler()
            if rule.allow {
                body.emit(Code.and, Register.access, ~rule.access)
                body.emit(Code.jumpIfNot, Register.access, offset: 2)
                body.answer(1)
            } else {
                body.emit(Code.move, Register.part, source: Register.access)
                body.emit(Code.and, Register.part, rule.access)
                body.emit(Code.jumpIfEqual, Register.part, offset: 2)
                body.answer(0)
            }
            let tests: [(UInt8, UInt32)] = [
                (Register.type, rule.type), (Register.major, rule.major), (Register.minor, rule.minor),
            ].compactMap { register, value in value.map { (register, $0) } }
            for (index, test) in tests.enumerated() {
                // Past the tests that follow, and the body.
                let offset = tests.count - index - 1 + body.bytes.count / 8
                emit(Code.jumpIfNot, test.0, offset: Int16(offset), test.1)
            }
            bytes += body.bytes
        }

        private mutating func answer(_ value: UInt32) {
            emit(Code.set, Register.result, value)
            emit(Code.exit, 0)
        }

        mutating func finish() -> [UInt8] {
            answer(0)
            return bytes
        }
    }
}

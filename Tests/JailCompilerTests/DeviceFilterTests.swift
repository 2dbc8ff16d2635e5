import OCISpec
import Testing

@testable import JailCompiler

/// The program that decides about devices, run by an interpreter of the few instructions that it has.
struct DeviceFilterTests {
    private struct Trap: Error {}

    /// What the program answers.
    private func run(_ program: [UInt8], type: UInt32, _ major: UInt32, _ minor: UInt32, _ access: UInt32) throws
        -> Bool
    {
        var registers = [UInt64](repeating: 0, count: 11)
        var at = 0
        for _ in 0..<10_000 {
            guard at >= 0, at * 8 + 8 <= program.count else { throw Trap() }
            let bytes = program[at * 8..<at * 8 + 8].map { $0 }
            let destination = Int(bytes[1] & 15)
            let source = Int(bytes[1] >> 4)
            let offset = Int(Int16(bitPattern: UInt16(bytes[2]) | UInt16(bytes[3]) << 8))
            let value = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[4 + $1]) << (8 * UInt32($1)) }
            at += 1
            switch bytes[0] {
            case 0x61:
                guard source == 1 else { throw Trap() }
                switch offset {
                case 0: registers[destination] = UInt64(access << 16 | type)
                case 4: registers[destination] = UInt64(major)
                case 8: registers[destination] = UInt64(minor)
                default: throw Trap()
                }
            case 0xbf: registers[destination] = registers[source]
            case 0xb7: registers[destination] = UInt64(value)
            case 0x54: registers[destination] &= UInt64(value)
            case 0x74: registers[destination] = (registers[destination] & 0xffff_ffff) >> UInt64(value)
            case 0x16: if UInt32(truncatingIfNeeded: registers[destination]) == value { at += offset }
            case 0x56: if UInt32(truncatingIfNeeded: registers[destination]) != value { at += offset }
            case 0x95: return registers[0] == 1
            default: throw Trap()
            }
        }
        throw Trap()
    }

    /// What the rules mean, told in another way: bit by bit, the last rule that speaks of it counts.
    private func model(
        _ rules: [DeviceFilter.Rule], type: UInt32, _ major: UInt32, _ minor: UInt32, _ access: UInt32
    ) -> Bool {
        for bit: UInt32 in [1, 2, 4] where access & bit != 0 {
            let last = rules.last {
                ($0.type ?? type) == type && ($0.major ?? major) == major && ($0.minor ?? minor) == minor
                    && $0.access & bit != 0
            }
            if last?.allow != true { return false }
        }
        return true
    }

    @Test func whatRuncAllowsAnyhow() throws {
        let program = DeviceFilter.program([])
        #expect(try run(program, type: 2, 1, 3, 6))
        #expect(try run(program, type: 2, 136, 77, 6))
        #expect(try run(program, type: 1, 8, 0, 1))
        #expect(try !run(program, type: 1, 8, 0, 2))
        #expect(try !run(program, type: 2, 1, 1, 2))
    }

    @Test func everything() throws {
        let program = DeviceFilter.program([.init(allow: true, access: "rwm")])
        #expect(try run(program, type: 1, 8, 0, 7))
        #expect(try run(program, type: 2, 4095, 1_048_575, 7))
        let none = DeviceFilter.program([.init(allow: true, access: "rwm"), .init(allow: false, type: "a")])
        #expect(try !run(none, type: 1, 8, 0, 2))
    }

    @Test("random rules mean what they say")
    func random() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let rules = (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                Linux.DeviceRule(
                    allow: Bool.random(using: &generator),
                    type: ["", "a", "b", "c"].randomElement(using: &generator) ?? "",
                    major: [nil, -1, 1, 2].randomElement(using: &generator) ?? nil,
                    minor: [nil, -1, 1, 2].randomElement(using: &generator) ?? nil,
                    access: ["r", "w", "m", "rw", "rwm", ""].randomElement(using: &generator) ?? "")
            }
            let program = DeviceFilter.program(rules)
            let all = rules.map(DeviceFilter.rule) + DeviceFilter.standard
            for type: UInt32 in 1...2 {
                for major: UInt32 in 0...2 {
                    for minor: UInt32 in 0...3 {
                        for access: UInt32 in 1...7 {
                            let answer = try run(program, type: type, major, minor, access)
                            #expect(answer == model(all, type: type, major, minor, access), "\(rules)")
                        }
                    }
                }
            }
        }
    }
}

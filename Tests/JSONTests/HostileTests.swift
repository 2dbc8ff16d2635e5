import JSON
import Testing

/// The same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite("JSON: hostile bytes")
struct HostileTests {
    static let sample = Array(WriterTests.sample.text(.pretty).utf8)

    @Test("a text that ends early is refused, wherever it ends")
    func truncated() {
        for length in 0..<Self.sample.count {
            #expect(message(Array(Self.sample.prefix(length))) != nil)
        }
    }

    @Test("changed bytes give an error or a value that is written and read as the same")
    func mutated() throws {
        var random = SeededGenerator(state: 1)
        for _ in 0..<20_000 {
            var bytes = Self.sample
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes.insert(Array("{}[]\",:0e-\\u".utf8).randomElement(using: &random) ?? 0, at: place)
                }
            }
            if let value = try? JSONValue.parse(bytes) {
                #expect(try JSONValue.parse(value.bytes()) == value)
            }
        }
    }

    @Test("noise of the characters that mean something")
    func noise() {
        var random = SeededGenerator(state: 2)
        let alphabet = Array("{}[]\",:0123456789.eE+-\\untrfalsbD8 \n\u{1}é".utf8)
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...40, using: &random)
            let bytes = (0..<length).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            if let value = try? JSONValue.parse(bytes) {
                #expect((try? JSONValue.parse(value.bytes())) == value)
            }
        }
    }
}

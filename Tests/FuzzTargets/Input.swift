/// A fuzzer's bytes, taken as the choices of a little program. When they are used up every choice is the first one.
public struct Input {
    private let bytes: [UInt8]
    private var at = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var isEmpty: Bool { at >= bytes.count }

    public mutating func byte() -> UInt8 {
        guard at < bytes.count else { return 0 }
        at += 1
        return bytes[at - 1]
    }

    /// - Parameter count: 1 to 256.
    public mutating func below(_ count: Int) -> Int { Int(byte()) % count }

    public mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

    /// Little endian, as it stands there.
    public mutating func raw<T: FixedWidthInteger>(_: T.Type = T.self) -> T {
        var value: T = 0
        for index in 0..<(T.bitWidth / 8) { value |= T(truncatingIfNeeded: byte()) << (8 * index) }
        return value
    }

    /// A number at a limit of its type, or any.
    public mutating func limit<T: FixedWidthInteger>(_: T.Type = T.self) -> T {
        let limits = Limits.of(T.self)
        let choice = Int(byte())
        return choice < 192 ? limits[choice % limits.count] : raw()
    }

    /// Mostly one of the `usual` numbers; now and then one at a limit, or any.
    public mutating func number<T: FixedWidthInteger>(_ usual: [T]) -> T {
        byte() < 216 ? pick(usual) : limit()
    }

    /// `count` bytes, at most 65536: what is left, then a pattern that tells the places apart.
    public mutating func take(_ count: Int) -> [UInt8] {
        let part = bytes[min(at, bytes.count)..<min(at + min(count, 64), bytes.count)]
        at += part.count
        return Array(part) + Self.pattern[..<max(count - part.count, 0)]
    }

    private static let pattern = (0..<65536).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }

    public mutating func rest() -> [UInt8] {
        defer { at = bytes.count }
        return Array(bytes[min(at, bytes.count)...])
    }
}

/// Numbers at which a check that is off by one, signed or too narrow shows.
enum Limits {
    static func of<T: FixedWidthInteger>(_: T.Type) -> [T] {
        let high: T = 1 << T(T.bitWidth - 1)
        var numbers: [T] = [0, 1, 2, .max, .max - 1, .max - 7, high, high &- 1, high &+ 1]
        for shift in [8, 12, 16, 31, 32, 33, 48] where shift < T.bitWidth {
            numbers += [1 << T(shift), (1 << T(shift)) &- 1, (1 << T(shift)) &+ 1]
        }
        return numbers
    }
}

/// Bytes of structures, little endian.
struct Packed {
    var bytes: [UInt8] = []

    mutating func put<T: FixedWidthInteger>(_ value: T) {
        for index in 0..<(T.bitWidth / 8) { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
}

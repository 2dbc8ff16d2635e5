/// A version of the runtime-spec: SemVer 2.0.0, as config.md asks of `ociVersion`.
public struct SpecVersion: Equatable, Sendable {
    /// The version these types follow.
    public static let current = "1.3.0"
    /// The oldest version of which configurations are understood.
    public static let oldest = "1.0.0"

    public let major: Int
    public let minor: Int
    public let patch: Int
    /// "dev" of "1.0.2-dev".
    public let preRelease: String

    /// nil if the text is no version.
    public init?(_ text: String) {
        // The build comes last, and may contain hyphens.
        let (rest, build) = Self.split(text.utf8[...], at: UInt8(ascii: "+"))
        let (core, preRelease) = Self.split(rest, at: UInt8(ascii: "-"))
        let numbers = core.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Self.number)
        guard numbers.count == 3, let major = numbers[0], let minor = numbers[1], let patch = numbers[2],
            Self.isIdentifiers(build), Self.isIdentifiers(preRelease)
        else { return nil }
        self.major = major
        self.minor = minor
        self.patch = patch
        self.preRelease = preRelease.map { String($0) } ?? ""
    }

    private typealias Bytes = Substring.UTF8View

    private static func split(_ bytes: Bytes, at separator: UInt8) -> (Bytes, Substring?) {
        guard let place = bytes.firstIndex(of: separator) else { return (bytes, nil) }
        return (bytes[..<place], Substring(bytes[bytes.index(after: place)...]))
    }

    private static func number(_ digits: Bytes) -> Int? {
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            digits.count == 1 || digits.first != UInt8(ascii: "0")
        else { return nil }
        return Int(Substring(digits))
    }

    /// Whether the part is absent, or dot-separated words of letters, digits and hyphens.
    private static func isIdentifiers(_ part: Substring?) -> Bool {
        guard let part else { return true }
        return part.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { word in
            !word.isEmpty
                && word.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"):
                        true
                    default: false
                    }
                }
        }
    }
}

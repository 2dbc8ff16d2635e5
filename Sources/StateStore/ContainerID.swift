/// A container's name. It becomes a directory's name, so what it may hold is checked before anything else.
public struct ContainerID: Hashable, Sendable, CustomStringConvertible {
    public let text: String
    public var description: String { text }

    /// Bytes; a directory entry holds 255.
    public static let longest = 255

    /// The characters that runc allows: letters, digits, and `_+-.`; neither "." nor "..".
    public init?(_ text: String) {
        let allowed = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"),
                UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard allowed, !text.isEmpty, text != ".", text != "..", text.utf8.count <= Self.longest else { return nil }
        self.text = text
    }
}

/// How much a text may ask of its reader. Every text that is parsed here may come from an enemy.
public struct JSONLimits: Equatable, Sendable {
    /// Arrays and objects inside each other.
    public var depth: Int
    /// The length of the text in bytes.
    public var bytes: Int
    /// Values in all: `[0,0,0,…]` costs its reader twelve times what it costs its writer.
    public var values: Int

    public init(depth: Int = 64, bytes: Int = 4 << 20, values: Int = 500_000) {
        self.depth = depth
        self.bytes = bytes
        self.values = values
    }
}

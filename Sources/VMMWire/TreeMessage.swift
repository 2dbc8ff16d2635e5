/// What a file system device is told of the trees that it shares, over a socket of whole messages (SOCK_SEQPACKET). Each
/// is answered by four bytes, little endian: 0 or an error number.
public enum TreeMessage: Equatable, Sendable {
    /// Comes with one descriptor, the tree's root (O_PATH); for a single file with a second one, its directory.
    case add(SharedTreeDescription)
    case remove(name: String)

    /// No message is longer.
    public static let mostBytes = 1024
    /// Descriptors at most.
    public static let mostDescriptors = 2
    public static let answerBytes = 4
    private static let mostNameBytes = 255

    private enum Kind {
        static let add: UInt8 = 1
        static let remove: UInt8 = 2
    }

    public var bytes: [UInt8] {
        switch self {
        case .add(let tree):
            [Kind.add, tree.readOnly ? 1 : 0, tree.cache.rawValue] + Self.encoded(tree.name)
                + Self.encoded(tree.nameInDirectory ?? "")
        case .remove(let name): [Kind.remove] + Self.encoded(name)
        }
    }

    private static func encoded(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(mostNameBytes))
        return [UInt8(bytes.count)] + bytes
    }

    /// nil when the bytes are no such message.
    public init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        guard let kind = rest.popFirst() else { return nil }
        switch kind {
        case Kind.add:
            guard let readOnly = rest.popFirst(), readOnly <= 1, let policy = rest.popFirst(),
                let cache = SharedTreeDescription.Cache(rawValue: policy), let name = Self.text(&rest),
                let inDirectory = Self.text(&rest), rest.isEmpty
            else { return nil }
            self = .add(
                SharedTreeDescription(
                    name: name, nameInDirectory: inDirectory.isEmpty ? nil : inDirectory, readOnly: readOnly == 1,
                    cache: cache))
        case Kind.remove:
            guard let name = Self.text(&rest), rest.isEmpty else { return nil }
            self = .remove(name: name)
        default: return nil
        }
    }

    private static func text(_ bytes: inout ArraySlice<UInt8>) -> String? {
        guard let count = bytes.popFirst(), bytes.count >= Int(count) else { return nil }
        defer { bytes = bytes.dropFirst(Int(count)) }
        return String(validating: bytes.prefix(Int(count)), as: UTF8.self)
    }
}

/// A tree, or a single file, of the host that a guest gets.
public struct SharedTreeDescription: Equatable, Sendable {
    /// How long the guest believes what it was told of the tree.
    public enum Cache: UInt8, Sendable {
        case auto, always, never
    }

    /// In the virtual root.
    public var name: String
    /// Of a single file: its name in its directory.
    public var nameInDirectory: String?
    public var readOnly: Bool
    public var cache: Cache

    public init(name: String, nameInDirectory: String? = nil, readOnly: Bool, cache: Cache = .auto) {
        self.name = name
        self.nameInDirectory = nameInDirectory
        self.readOnly = readOnly
        self.cache = cache
    }
}

/// What a file system device is told of the trees that it shares, over a socket of whole messages (SOCK_SEQPACKET). `add`
/// and `remove` are answered (`DeviceWord.answer`), once the device serves the guest.
public enum TreeMessage: Equatable, Sendable {
    /// Comes with one descriptor, the tree's root (O_PATH); for a single file with a second one, its directory.
    case add(SharedTreeDescription)
    case remove(name: String)
    /// The inodes of the tree that processes of the guest watch, by number: all of them.
    case watch(tree: String, inodes: [UInt64])
    /// The guest's agent has seen to a change (`DeviceWord.changed`).
    case changeHandled

    /// No message is longer.
    public static let mostBytes = 16384
    /// Of more inodes a guest's processes are not told of changes.
    public static let mostWatched = 1024
    /// Descriptors at most.
    public static let mostDescriptors = 2
    private static let mostNameBytes = 255

    private enum Kind {
        static let add: UInt8 = 1
        static let remove: UInt8 = 2
        static let watch: UInt8 = 3
        static let changeHandled: UInt8 = 4
    }

    public var bytes: [UInt8] {
        switch self {
        case .add(let tree):
            [Kind.add, tree.readOnly ? 1 : 0, tree.cache.rawValue] + Self.encoded(tree.name)
                + Self.encoded(tree.nameInDirectory ?? "")
        case .remove(let name): [Kind.remove] + Self.encoded(name)
        case .watch(let tree, let inodes):
            [Kind.watch] + Self.encoded(tree)
                + inodes.prefix(Self.mostWatched).flatMap { inode in
                    (0..<8).map { UInt8(truncatingIfNeeded: inode >> (8 * $0)) }
                }
        case .changeHandled: [Kind.changeHandled]
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
        case Kind.watch:
            guard let tree = Self.text(&rest), rest.count % 8 == 0, rest.count / 8 <= Self.mostWatched else {
                return nil
            }
            var inodes: [UInt64] = []
            while !rest.isEmpty {
                inodes.append(rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })
                rest = rest.dropFirst(8)
            }
            self = .watch(tree: tree, inodes: inodes)
        case Kind.changeHandled:
            guard rest.isEmpty else { return nil }
            self = .changeHandled
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

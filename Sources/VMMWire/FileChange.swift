/// A change that the host made to files that a process in the guest watches (inotify).
public struct FileChange: Equatable, Sendable {
    public enum Kind: UInt8, Sendable {
        case modified = 1
        case attributes
        case created
        case deleted
        /// From `name` in `directory` to `newName` in `newDirectory`.
        case moved
    }

    /// Where a file is: the directory's path below the tree's root, and its name there. Both are empty for the root
    /// itself. Bytes: they need not be UTF-8.
    public struct Place: Equatable, Sendable {
        public var directory: [UInt8]
        public var name: [UInt8]

        public init(directory: [UInt8] = [], name: [UInt8] = []) {
            self.directory = directory
            self.name = name
        }
    }

    public var kind: Kind
    public var tree: String
    public var place: Place
    public var newPlace: Place
    /// S_IFMT of the file's mode.
    public var fileKind: UInt32

    public init(kind: Kind, tree: String, place: Place, newPlace: Place = Place(), fileKind: UInt32) {
        self.kind = kind
        self.tree = tree
        self.place = place
        self.newPlace = newPlace
        self.fileKind = fileKind
    }
}

/// What a file system device says to whoever has told it of trees.
public enum DeviceWord: Equatable, Sendable {
    /// The answer to a message: 0 or an error number.
    case answer(Int32)
    /// To be told to the guest's agent; the next one comes after `TreeMessage.changeHandled`.
    case changed(FileChange)

    /// No word is longer: four paths, and a little.
    public static let mostBytes = 4 * 4352

    private enum Kind {
        static let answer: UInt8 = 1
        static let changed: UInt8 = 2
    }

    public var bytes: [UInt8] {
        switch self {
        case .answer(let code): [Kind.answer] + Self.encoded(UInt32(bitPattern: code))
        case .changed(let change):
            [Kind.changed, change.kind.rawValue] + Self.encoded(change.fileKind) + Self.encoded(Array(change.tree.utf8))
                + Self.encoded(change.place.directory) + Self.encoded(change.place.name)
                + Self.encoded(change.newPlace.directory) + Self.encoded(change.newPlace.name)
        }
    }

    /// nil when the bytes are no such word.
    public init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        switch rest.popFirst() {
        case Kind.answer:
            guard let code = Self.number(&rest), rest.isEmpty else { return nil }
            self = .answer(Int32(bitPattern: code))
        case Kind.changed:
            guard let kind = rest.popFirst().flatMap({ FileChange.Kind(rawValue: $0) }), let type = Self.number(&rest),
                let tree = Self.text(&rest), let directory = Self.text(&rest), let name = Self.text(&rest),
                let newDirectory = Self.text(&rest), let newName = Self.text(&rest), rest.isEmpty
            else { return nil }
            self = .changed(
                FileChange(
                    kind: kind, tree: String(decoding: tree, as: UTF8.self),
                    place: .init(directory: directory, name: name),
                    newPlace: .init(directory: newDirectory, name: newName), fileKind: type))
        default: return nil
        }
    }

    private static func encoded(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    private static func encoded(_ text: [UInt8]) -> [UInt8] {
        let text = text.prefix(Int(UInt16.max))
        return [UInt8(truncatingIfNeeded: text.count), UInt8(truncatingIfNeeded: text.count >> 8)] + text
    }

    private static func number(_ bytes: inout ArraySlice<UInt8>) -> UInt32? {
        guard bytes.count >= 4 else { return nil }
        defer { bytes = bytes.dropFirst(4) }
        return bytes.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func text(_ bytes: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard bytes.count >= 2 else { return nil }
        let count = bytes.prefix(2).reversed().reduce(0) { $0 << 8 | Int($1) }
        bytes = bytes.dropFirst(2)
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }
}

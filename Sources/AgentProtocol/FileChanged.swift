/// A change that the host made to a file that a process of the guest watches. The agent makes it once more, so that the
/// guest's kernel tells those who watch; the file system device knows of that and changes nothing.
public struct FileChanged: Equatable, Sendable {
    public enum Kind: UInt8, Sendable { case modified = 1, attributes, created, deleted, moved }

    public var kind: Kind
    /// A name in the share's root.
    public var tree: String
    /// The directory's path below the tree, and the file's name there; both empty for the tree itself. Not always UTF-8.
    public var directory: [UInt8]
    public var name: [UInt8]
    /// Where it was moved to.
    public var newDirectory: [UInt8]
    public var newName: [UInt8]
    /// S_IFMT of its mode.
    public var fileKind: UInt32

    public init(
        kind: Kind, tree: String, directory: [UInt8], name: [UInt8], newDirectory: [UInt8] = [], newName: [UInt8] = [],
        fileKind: UInt32
    ) {
        self.kind = kind
        self.tree = tree
        self.directory = directory
        self.name = name
        self.newDirectory = newDirectory
        self.newName = newName
        self.fileKind = fileKind
    }

    func write(to writer: inout WireWriter) {
        writer.put(kind.rawValue)
        writer.put(tree)
        writer.put(directory)
        writer.put(name)
        writer.put(newDirectory)
        writer.put(newName)
        writer.put(fileKind)
    }

    init(from reader: inout WireReader) throws(WireError) {
        guard let kind = Kind(rawValue: try reader.integer()) else { throw .badValue(field: "change") }
        self.kind = kind
        tree = try reader.text("tree", limit: WireLimit.name)
        directory = try reader.bytes("directory", limit: WireLimit.text)
        name = try reader.bytes("name", limit: WireLimit.name)
        newDirectory = try reader.bytes("newDirectory", limit: WireLimit.text)
        newName = try reader.bytes("newName", limit: WireLimit.name)
        fileKind = try reader.integer()
    }
}

/// The inodes of a tree that processes of the guest watch (inotify), by number: all of them.
public struct WatchedFiles: Equatable, Sendable {
    public var tree: String
    public var inodes: [UInt64]

    public init(tree: String, inodes: [UInt64]) {
        self.tree = tree
        self.inodes = inodes
    }

    func write(to writer: inout WireWriter) {
        writer.put(tree)
        writer.put(UInt32(truncatingIfNeeded: inodes.count))
        for inode in inodes { writer.put(inode) }
    }

    init(from reader: inout WireReader) throws(WireError) {
        tree = try reader.text("tree", limit: WireLimit.name)
        inodes = []
        for _ in 0..<(try reader.count("watched")) { inodes.append(try reader.integer()) }
    }
}

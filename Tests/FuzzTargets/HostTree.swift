import FileCalls
import Glibc
import LinuxSys

/// The directory that the trees are of, and a host that works in it while the guest does.
///
/// The guest makes symlinks and device nodes there, and a fuzzer runs as root: so the host follows no symlink, not on
/// the way to a file either, and opens what is a regular file only.
final class HostTree {
    private static let secret = [UInt8](repeating: 0x73, count: 100)

    /// "tree" in the folder; beside it is a file that symlinks point to and nobody may touch.
    let root: SharedDescriptor
    private let outside: FileDescriptor

    /// - Parameter outside: a folder of the tree's own.
    init(in outside: consuming FileDescriptor) throws {
        let directory = try Self.name("tree")
        self.outside = outside
        try FileCalls.makeDirectory(directory, in: self.outside, mode: 0o755)
        root = SharedDescriptor(try FileCalls.find(directory, in: self.outside))
        try Self.write(Self.secret, to: Self.name("secret"), in: self.outside)
        try fill()
    }

    private static func name(_ text: some StringProtocol) throws -> FileName {
        guard let name = FileName(String(text)) else { throw Errno.invalidArgument }
        return name
    }

    private static func write(_ bytes: [UInt8], to name: FileName, in directory: borrowing FileDescriptor) throws {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC
        try FileCalls.open(name, in: directory, flags: flags, mode: 0o644).writeAll(bytes)
    }

    private func fill() throws {
        for directory in ["d", "d/b", "d/b/c"] {
            try at(directory) { try FileCalls.makeDirectory($1, in: $0, mode: 0o755) }
        }
        for file in ["a", "d/a", "d/b/a"] {
            try at(file) { try Self.write([UInt8](repeating: 0x61, count: 5000), to: $1, in: $0) }
        }
        try at("l") { try FileCalls.makeSymlink($1, in: $0, target: Array("d/a".utf8)) }
        try at("p") { try FileCalls.makeNode($1, in: $0, mode: UInt32(S_IFIFO) | 0o644, device: 0) }
    }

    /// Whether only the tree was changed.
    var isAlone: Bool {
        guard let name = FileName("secret"),
            let file = try? FileCalls.open(name, in: outside, flags: O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
        else { return false }
        let names = (try? File.list("/proc/self/fd/\(outside.raw)")) ?? []
        return (try? file.readAll(limit: 1000)) == Self.secret && names.sorted() == ["secret", "tree"]
    }

    // MARK: What the host does

    private static let places = ["a", "b", "c", "d", "l", "p", "d/a", "d/b", "d/b/c", "b/c", "a/b", "b/a"]

    func act(_ input: inout Input) {
        let one = input.pick(Self.places)
        let other = input.pick(Self.places)
        let choice = input.below(8)
        let target = input.pick(["../secret", "..", "a"])
        let size = input.pick([0, 5000, 1 << 19] as [UInt64])
        // Much of it fails: what is there is chance.
        try? at(one) { directory, name in
            switch choice {
            case 0: try FileCalls.remove(name, in: directory, isDirectory: false)
            case 1: try FileCalls.makeDirectory(name, in: directory, mode: 0o755)
            case 2, 3:
                try at(other) { try FileCalls.rename(name, in: directory, to: $1, in: $0, flags: 0) }
            case 4:
                let file = try FileCalls.find(name, in: directory)
                try at(other) { try FileCalls.link(file, to: $1, in: $0) }
            case 5: try FileCalls.makeSymlink(name, in: directory, target: Array(target.utf8))
            case 6: try FileCalls.truncate(regularFile(name, in: directory), to: size)
            default:
                try? Self.write([], to: name, in: directory)
                _ = try regularFile(name, in: directory).write([1, 2, 3])
            }
        }
    }

    private func regularFile(_ name: FileName, in directory: borrowing FileDescriptor) throws -> FileDescriptor {
        // Nobody changes it in between: the device has no request at hand.
        guard try FileCalls.status(of: name, in: directory).kind == .regular else { throw Errno.invalidArgument }
        let flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
        return try FileCalls.open(name, in: directory, flags: flags)
    }

    /// Finds the directory of a path by its descriptor, one name after the other.
    private func at(_ path: String, _ body: (borrowing FileDescriptor, FileName) throws -> Void) throws {
        var names = path.split(separator: "/")
        let last = try Self.name(names.removeLast())
        var directory = try root.descriptor.duplicate()
        for name in names { directory = try FileCalls.find(Self.name(name), in: directory) }
        guard try FileCalls.status(directory).kind == .directory else { throw Errno.notDirectory }
        try body(directory, last)
    }
}

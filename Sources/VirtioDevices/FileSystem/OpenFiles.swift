import FileCalls
import Glibc
import LinuxSys

/// A file that the guest has open.
final class OpenFile: Sendable {
    let inode: Inode
    let descriptor: SharedDescriptor
    /// Of open(2).
    let flags: CInt
    var isWritable: Bool { flags & O_ACCMODE != O_RDONLY }

    /// The agent's, which only looks as if it wrote.
    let isEmulated: Bool

    init(_ inode: Inode, _ descriptor: SharedDescriptor, flags: CInt, isEmulated: Bool = false) {
        self.inode = inode
        self.descriptor = descriptor
        self.flags = flags
        self.isEmulated = isEmulated
    }
}

/// What the guest has open, by the number it was given (fh). Guarded by the file system's monitor.
struct OpenFiles {
    enum Member {
        case file(OpenFile)
        case directory(OpenDirectory)

        var inode: Inode? {
            switch self {
            case .file(let file): file.inode
            case .directory(let directory): directory.inode
            }
        }

        var descriptor: SharedDescriptor? {
            switch self {
            case .file(let file): file.descriptor
            case .directory(let directory): directory.descriptor
            }
        }
    }

    private let limit: Int
    private var members: [UInt64: Member] = [:]
    private var next: UInt64 = 1

    init(limit: Int) { self.limit = limit }

    var count: Int { members.count }
    var all: [(handle: UInt64, member: Member)] { members.map { ($0.key, $0.value) } }

    /// - Returns: its number, which is never used twice.
    mutating func add(_ member: Member) throws(Errno) -> UInt64 {
        guard members.count < limit else { throw .tooManyFiles }
        defer { next += 1 }
        set(member, next)
        return next
    }

    /// Puts back what was open under a number when the state was saved.
    mutating func restore(_ member: Member, as handle: UInt64) {
        set(member, handle)
        next = max(next, handle &+ 1)
    }

    private mutating func set(_ member: Member, _ handle: UInt64) {
        members[handle] = member
        member.inode?.opened[handle] = member.descriptor
    }

    func file(_ handle: UInt64) throws(Errno) -> OpenFile {
        guard case .file(let file)? = members[handle] else { throw .badFileDescriptor }
        return file
    }

    func directory(_ handle: UInt64) throws(Errno) -> OpenDirectory {
        guard case .directory(let directory)? = members[handle] else { throw .badFileDescriptor }
        return directory
    }

    /// - Returns: what it was, so that it is closed when nobody holds a lock.
    mutating func remove(_ handle: UInt64) -> Member? {
        let member = members.removeValue(forKey: handle)
        member?.inode?.opened[handle] = nil
        return member
    }

    /// - Returns: what is to be closed likewise.
    mutating func removeAll(of tree: Tree) -> [Member] {
        members.filter { $0.value.inode?.tree === tree }.compactMap { remove($0.key) }
    }

    mutating func removeAll() -> [Member] { members.keys.compactMap { remove($0) } }
}

import FileCalls
import Glibc
import LinuxSys

/// A file that the guest has open.
final class OpenFile: Sendable {
    let inode: Inode
    let descriptor: SharedDescriptor
    let isWritable: Bool

    init(_ inode: Inode, _ descriptor: SharedDescriptor, isWritable: Bool) {
        self.inode = inode
        self.descriptor = descriptor
        self.isWritable = isWritable
    }
}

/// A directory that the guest has open: a place in its stream, and entries that were read ahead.
final class OpenDirectory: @unchecked Sendable {
    private static let bufferBytes = 32768

    /// nil for the virtual root.
    let inode: Inode?
    let descriptor: SharedDescriptor?
    /// Guards what follows; held while the directory is read, which only those wait for who read it too.
    let monitor = Monitor()
    private var buffer: [UInt8] = []
    private var at = 0
    private var end = 0
    /// Of the next entry, as the guest names it; -1 when it is not known.
    private var offset: Int64 = 0

    init(_ inode: Inode?, _ descriptor: SharedDescriptor?) {
        self.inode = inode
        self.descriptor = descriptor
    }

    /// An entry of getdents64(2).
    struct Entry {
        var inode: UInt64
        /// Where the next one is.
        var next: Int64
        /// DT_….
        var type: UInt8
        var name: ArraySlice<UInt8>
    }

    /// Goes to `offset`, which the guest got with an entry before.
    func seek(to offset: Int64) throws(Errno) {
        guard offset != self.offset, let descriptor else { return }
        at = 0
        end = 0
        self.offset = -1
        _ = try FileCalls.seek(descriptor.descriptor, offset, SEEK_SET)
        self.offset = offset
    }

    /// The next entry, which stays the next one until `advance`; nil at the end.
    func peek() throws(Errno) -> Entry? {
        guard let descriptor else { return nil }
        if at >= end {
            if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.bufferBytes) }
            at = 0
            end = 0
            end = try FileCalls.readDirectory(descriptor.descriptor, into: &buffer)
            if end == 0 { return nil }
        }
        // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name up to a NUL.
        let length = Int(buffer[at + 16]) | Int(buffer[at + 17]) << 8
        guard length >= 20, at + length <= end else { throw .ioError }
        let name = buffer[(at + 19)..<(at + length)].prefix { $0 != 0 }
        return Entry(
            inode: number(at), next: Int64(bitPattern: number(at + 8)), type: buffer[at + 18], name: name)
    }

    /// Steps over the entry that `peek` gave.
    func advance(over entry: borrowing Entry) {
        at += Int(buffer[at + 16]) | Int(buffer[at + 17]) << 8
        offset = entry.next
    }

    private func number(_ at: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in (0..<8).reversed() { value = value << 8 | UInt64(buffer[at + index]) }
        return value
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
        members[next] = member
        return next
    }

    /// Puts back what was open under a number when the state was saved.
    mutating func restore(_ member: Member, as handle: UInt64) {
        members[handle] = member
        next = max(next, handle &+ 1)
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
    mutating func remove(_ handle: UInt64) -> Member? { members.removeValue(forKey: handle) }

    mutating func close(of tree: Tree) { members = members.filter { $0.value.inode?.tree !== tree } }

    mutating func removeAll() { members = [:] }
}

import FileCalls
import Glibc
import LinuxSys

/// A directory that the guest has open: a place in its stream, and entries that were read ahead.
final class OpenDirectory: @unchecked Sendable {
    private static let bufferBytes = 32768
    /// More than fit into two answers of READDIRPLUS, which Linux 6.1 asks for by the page.
    private static let mostAhead = 64
    /// Attributes that were looked up ahead are used within this time.
    private static let freshNanoseconds: UInt64 = 50_000_000

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
    private var ahead = Ahead()
    /// Guarded by `DirectoryBuffers`, which knows of it.
    var isNoted = false

    /// Attributes of entries of the buffer, from the next one on.
    private struct Ahead {
        var known: [(place: Int, status: FileStatus)] = []
        /// How many of them were used.
        var used = 0
        /// Where the next one to look up is.
        var place = 0
        /// `FileSystem.changes` when they were looked up: with another value a guest's change may be missing in them.
        var stamp: UInt64 = 0
        var since: UInt64 = 0

        mutating func restart(at place: Int, stamp: UInt64) {
            known.removeAll(keepingCapacity: true)
            used = 0
            self.place = place
            self.stamp = stamp
            since = Clock.monotonicNanoseconds()
        }
    }

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
        /// Bytes in the buffer.
        var length: Int
    }

    /// Goes to `offset`, which the guest got with an entry before.
    func seek(to offset: Int64) throws(Errno) {
        guard offset != self.offset, let descriptor else { return }
        at = 0
        end = 0
        self.offset = -1
        _ = try FileCalls.seek(descriptor.descriptor, offset, SEEK_SET)
        self.offset = offset
        ahead.restart(at: 0, stamp: 0)
    }

    /// The next entry, which stays the next one until `advance`; nil at the end.
    func peek() throws(Errno) -> Entry? {
        guard let descriptor else { return nil }
        if at >= end {
            if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.bufferBytes) }
            at = 0
            end = 0
            ahead.restart(at: 0, stamp: 0)
            end = try FileCalls.readDirectory(descriptor.descriptor, into: &buffer)
            if end == 0 {
                // Whoever reads on begins anew, or finds the end once more.
                freeBuffers()
                return nil
            }
        }
        return try entry(at)
    }

    /// With the monitor held.
    private func freeBuffers() {
        buffer = []
        ahead = Ahead()
    }

    /// Bytes that it has of the directory's list; with the monitor held.
    var bufferedBytes: Int { buffer.count }

    /// Frees what was read ahead, unless somebody reads at this moment; the next one reads it again.
    /// - Returns: whether it was done.
    func giveUpBuffers() -> Bool {
        monitor.tryWithLock {
            at = 0
            end = 0
            // The stream is further than the guest.
            offset = -1
            freeBuffers()
        }
    }

    private func entry(_ at: Int) throws(Errno) -> Entry {
        // struct linux_dirent64: inode 8, offset 8, length 2, type 1, name up to a NUL.
        guard at + 20 <= end else { throw .ioError }
        let length = Int(buffer[at + 16]) | Int(buffer[at + 17]) << 8
        guard length >= 20, at + length <= end else { throw .ioError }
        let name = buffer[(at + 19)..<(at + length)].prefix { $0 != 0 }
        return Entry(
            inode: number(at), next: Int64(bitPattern: number(at + 8)), type: buffer[at + 18], name: name,
            length: length)
    }

    /// Steps over the entry that `peek` gave.
    func advance(over entry: borrowing Entry) {
        at += entry.length
        offset = entry.next
    }

    private func number(_ at: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in (0..<8).reversed() { value = value << 8 | UInt64(buffer[at + index]) }
        return value
    }

    // MARK: Looking ahead

    /// Looks up the attributes of one entry more, or reads the next entries, while the guest is busy with those it has.
    /// - Parameter stamp: `FileSystem.changes`, read before.
    /// - Returns: whether there may be more to do.
    func lookAhead(stamp: UInt64) -> Bool {
        monitor.withLock {
            guard let descriptor, offset >= 0 else { return false }
            if at >= end { return (try? peek()) ?? nil != nil }
            if ahead.stamp != stamp || ahead.place < at { ahead.restart(at: at, stamp: stamp) }
            guard ahead.known.count - ahead.used < Self.mostAhead, let entry = try? entry(ahead.place) else {
                return false
            }
            if let name = FileName(entry.name), let status = try? FileCalls.status(of: name, in: descriptor.descriptor)
            {
                ahead.known.append((ahead.place, status))
            }
            ahead.place += entry.length
            return ahead.place < end
        }
    }

    /// Forgets what was looked up before the guest's last change, or too long ago.
    func dropStale(stamp: UInt64) {
        guard !ahead.known.isEmpty else { return }
        if ahead.stamp != stamp || Clock.monotonicNanoseconds() - ahead.since > Self.freshNanoseconds {
            ahead.restart(at: at, stamp: stamp)
        }
    }

    /// The attributes of the next entry, if they were looked up ahead.
    func statusAhead() -> FileStatus? {
        while ahead.used < ahead.known.count {
            let next = ahead.known[ahead.used]
            if next.place > at { return nil }
            ahead.used += 1
            if next.place == at { return next.status }
        }
        return nil
    }
}

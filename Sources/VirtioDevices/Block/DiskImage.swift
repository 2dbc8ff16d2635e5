import FileCalls
import Glibc
import GuestMemory
import LinuxSys

/// The file, or the host's block device, that a disk is kept in: byte for byte, nothing in front of it (a raw image).
final class DiskImage: Sendable {
    /// Of the unit in which the driver counts, whatever the block size (virtio 1.2 §5.2.4).
    static let sectorBytes = 512

    private enum Allocate {
        static let keepSize: CInt = 1
        static let punchHole: CInt = 2
        static let zeroRange: CInt = 16
    }

    private let file: FileDescriptor
    /// Whole ones: bytes behind the last are no part of the disk.
    let sectors: UInt64
    let isReadOnly: Bool

    /// - Parameter file: opened for reading, and, unless `isReadOnly`, for writing.
    /// - Throws: `invalidArgument` for what is neither a file nor a block device, or has no whole sector.
    init(_ file: consuming FileDescriptor, isReadOnly: Bool) throws(Errno) {
        let kind = try FileCalls.status(file).kind
        guard kind == .regular || kind == .blockDevice else { throw .invalidArgument }
        // st_size of a block device is 0.
        let end = try FileCalls.seek(file, 0, SEEK_END)
        guard end >= Self.sectorBytes else { throw .invalidArgument }
        self.file = file
        sectors = UInt64(end) / UInt64(Self.sectorBytes)
        self.isReadOnly = isReadOnly
    }

    /// Where the sectors are in the file, in bytes; nil when one of them is not on the disk, or there is none.
    func place(_ sector: UInt64, count: UInt64) -> Range<Int64>? {
        guard count > 0, sector < sectors, count <= sectors - sector else { return nil }
        // The disk's end in bytes was an Int64 when it was asked for.
        let start = Int64(sector) * Int64(Self.sectorBytes)
        return start..<start + Int64(count) * Int64(Self.sectorBytes)
    }

    // MARK: What is in it. Places are of `place`.

    /// - Returns: bytes; fewer than the place has when the file was made shorter.
    func read(
        _ place: Range<Int64>, _ memory: GuestMemory, into segments: [GuestSegment]
    ) throws(Errno) -> Int {
        try memory.readFile(file, at: place.lowerBound, into: segments, skipping: 0, limit: place.count)
    }

    /// - Returns: bytes; fewer than the place has when the host's disk is full.
    func write(
        _ place: Range<Int64>, _ memory: GuestMemory, from segments: [GuestSegment], skipping: Int
    ) throws(Errno) -> Int {
        try memory.writeFile(file, at: place.lowerBound, from: segments, skipping: skipping, limit: place.count)
    }

    func flush() throws(Errno) { try FileCalls.synchronize(file, dataOnly: true) }

    /// What was there is of no use any more. A host that can't make use of that knows as much as before.
    func discard(_ place: Range<Int64>) throws(Errno) {
        do throws(Errno) { try allocate(place, Allocate.punchHole) } catch {
            guard error == .notSupported || error == .invalidArgument else { throw error }
        }
    }

    /// - Parameter mayUnmap: the room may be given back to the host's disk.
    func writeZeroes(_ place: Range<Int64>, mayUnmap: Bool) throws(Errno) {
        do throws(Errno) {
            try allocate(place, mayUnmap ? Allocate.punchHole : Allocate.zeroRange)
        } catch {
            // Not every file system does either, and what else was wrong shows again.
            try FileCalls.writeZeroes(file, at: place.lowerBound, count: place.count)
        }
    }

    private func allocate(_ place: Range<Int64>, _ mode: CInt) throws(Errno) {
        try FileCalls.allocate(
            file, mode: mode | Allocate.keepSize, offset: UInt64(place.lowerBound), length: UInt64(place.count))
    }
}

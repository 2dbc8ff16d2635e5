import GuestMemory
import LinuxSys

/// What the driver can ask for (virtio 1.2 §5.2.6).
enum BlockOperation: UInt32 {
    case read = 0
    case write = 1
    case flush = 4
    case identify = 8
    case discard = 11
    case writeZeroes = 13
}

/// The status of a request that was not carried out: its last byte (virtio 1.2 §5.2.6). 0 is "carried out".
enum BlockRefusal: UInt8, Error {
    /// VIRTIO_BLK_S_IOERR
    case failed = 1
    /// VIRTIO_BLK_S_UNSUPP
    case unsupported = 2
}

/// What every request begins with: type, a reserved number, sector.
struct BlockHeader {
    static let byteCount = 16

    let operation: UInt32
    let sector: UInt64

    /// - Throws: `invalidArgument` for fewer bytes.
    init(_ bytes: [UInt8]) throws(Errno) {
        var reader = ByteReader(bytes, in: 0..<Self.byteCount)
        operation = try reader.number()
        try reader.skip(4)
        sector = try reader.number()
    }
}

/// A range of a DISCARD or WRITE_ZEROES: `struct virtio_blk_discard_write_zeroes`.
struct BlockRange {
    static let byteCount = 16

    let sector: UInt64
    let count: UInt32
    let mayUnmap: Bool

    /// - Throws: `unsupported` for a flag that the operation does not have (§5.2.6.2).
    init(_ reader: inout ByteReader, _ operation: BlockOperation) throws(BlockRefusal) {
        let flags: UInt32
        do throws(Errno) {
            sector = try reader.number()
            count = try reader.number()
            flags = try reader.number()
        } catch {
            throw .failed
        }
        let known: UInt32 = operation == .writeZeroes ? 1 : 0
        if flags & ~known != 0 { throw .unsupported }
        mayUnmap = flags & 1 != 0
    }
}

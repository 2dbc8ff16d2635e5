import GuestMemory
import Virtio

/// Feature bits of a block device (virtio 1.2 §5.2.3).
extension VirtioFeatures {
    /// VIRTIO_BLK_F_SEG_MAX: there is a limit to the segments of a request.
    public static let blockSegments = VirtioFeatures(rawValue: 1 << 2)
    /// VIRTIO_BLK_F_RO
    public static let blockReadOnly = VirtioFeatures(rawValue: 1 << 5)
    /// VIRTIO_BLK_F_BLK_SIZE
    public static let blockSize = VirtioFeatures(rawValue: 1 << 6)
    /// VIRTIO_BLK_F_FLUSH: without it every write is on the disk when it is answered.
    public static let blockFlush = VirtioFeatures(rawValue: 1 << 9)
    /// VIRTIO_BLK_F_TOPOLOGY
    public static let blockTopology = VirtioFeatures(rawValue: 1 << 10)
    /// VIRTIO_BLK_F_CONFIG_WCE: the driver may turn the cache of writes off.
    public static let blockCacheMode = VirtioFeatures(rawValue: 1 << 11)
    /// VIRTIO_BLK_F_DISCARD
    public static let blockDiscard = VirtioFeatures(rawValue: 1 << 13)
    /// VIRTIO_BLK_F_WRITE_ZEROES
    public static let blockWriteZeroes = VirtioFeatures(rawValue: 1 << 14)
}

/// What a request may be at most.
enum BlockLimit {
    /// Segments of data: a chain is never longer than its queue, which has 128 entries, and two are header and status.
    static let segments: UInt32 = 126
    /// Ranges of one DISCARD.
    static let discardRanges: UInt32 = 64
    /// Sectors of a range: 1 GiB.
    static let discardSectors: UInt32 = 1 << 21
    /// Where the host can't make a hole it writes the zeros, and the guest waits: 64 MiB.
    static let zeroSectors: UInt32 = 1 << 17
    static let zeroRanges: UInt32 = 1
}

/// `struct virtio_blk_config` (virtio 1.2 §5.2.4).
struct BlockConfiguration {
    /// With the fields of VIRTIO_BLK_F_SECURE_ERASE, which are zeros: it is not offered.
    static let byteCount: UInt32 = 72
    /// Where the one field is that the driver may write.
    static let cacheModeOffset: UInt32 = 32
    /// The host's pages, in sectors, and as a power of two of them.
    private static let physicalSectors: UInt16 = 8
    private static let physicalExponent: UInt8 = 3

    /// Sectors of 512 bytes.
    let sectors: UInt64
    /// Writes are on the disk only after a FLUSH.
    let isCached: Bool

    var bytes: [UInt8] {
        var writer = ByteWriter()
        writer.append(sectors)
        writer.append(0 as UInt32)  // size_max: not offered
        writer.append(BlockLimit.segments)
        writer.append(0 as UInt32)  // geometry: not offered
        writer.append(UInt32(DiskImage.sectorBytes))
        writer.append(Self.physicalExponent)
        writer.append(0 as UInt8)  // alignment_offset
        writer.append(Self.physicalSectors)  // min_io_size
        writer.append(0 as UInt32)  // opt_io_size: none is better than another
        writer.append(isCached ? 1 : 0 as UInt8)
        writer.append(0 as UInt8)
        writer.append(1 as UInt16)  // num_queues
        writer.append(BlockLimit.discardSectors)
        writer.append(BlockLimit.discardRanges)
        writer.append(UInt32(Self.physicalSectors))  // discard_sector_alignment
        writer.append(BlockLimit.zeroSectors)
        writer.append(BlockLimit.zeroRanges)
        writer.append(1 as UInt8)  // write_zeroes_may_unmap
        writer.append(zeros: Int(Self.byteCount) - writer.count)
        return writer.bytes
    }

    /// Bytes of it; nil when the range is not in it.
    func part(at offset: UInt32, count: UInt32) -> [UInt8]? {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= Self.byteCount else { return nil }
        return Array(bytes[Int(offset)..<Int(end)])
    }
}

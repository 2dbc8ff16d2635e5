import GuestMemory
import LinuxSys
import Virtio

/// Carries out requests, one at a time: the disk behind the queue.
final class BlockDisk {
    /// Bytes of the answer to GET_ID (virtio 1.2 §5.2.6).
    static let identityBytes = 20

    let image: DiskImage
    private let identity: [UInt8]
    var counters = BlockCounters()
    /// Writes are on the disk only after a FLUSH.
    var isCached = true

    private var header = [UInt8](repeating: 0, count: BlockHeader.byteCount)
    private var ranges: [UInt8] = []

    /// - Parameter identity: padded here.
    init(_ image: DiskImage, identity: [UInt8]) {
        self.image = image
        self.identity = identity + [UInt8](repeating: 0, count: max(Self.identityBytes - identity.count, 0))
    }

    /// Carries out the request in `chain` and writes its status.
    /// - Parameter isDurable: what is written has to be on the disk when it is answered.
    /// - Returns: bytes written into the chain, from its beginning.
    func process(_ chain: DescriptorChain, _ memory: GuestMemory, isDurable: Bool) -> UInt32 {
        counters.requests &+= 1
        guard let last = chain.writable.last else {
            // There is no place to say so.
            counters.badRequests &+= 1
            return 0
        }
        var filled: UInt32 = 0
        var status: UInt8 = 0
        do throws(BlockRefusal) {
            filled = try carryOut(chain, memory, isDurable)
        } catch {
            counters.errors &+= 1
            status = error.rawValue
        }
        // The last byte of the last segment. No segment is empty, and each was in guest memory when it was popped.
        try? memory.store(status, at: last.address &+ UInt64(last.count &- 1))
        // What the driver is told of is all that lies in front: after an error nothing, although there is a status.
        return filled == chain.writableBytes &- 1 ? chain.writableBytes : filled
    }

    /// - Returns: bytes of the answer, without the status.
    private func carryOut(
        _ chain: DescriptorChain, _ memory: GuestMemory, _ isDurable: Bool
    ) throws(BlockRefusal) -> UInt32 {
        let gathered = (try? memory.gather(chain.readable, into: &header)) ?? 0
        guard gathered == BlockHeader.byteCount, let header = try? BlockHeader(header) else { throw bad }
        guard let operation = BlockOperation(rawValue: header.operation) else { throw .unsupported }
        // Without header and status. What the guest wrote into a length fits into 32 bits: see `DescriptorChain`.
        let incoming = chain.readableBytes &- UInt32(BlockHeader.byteCount)
        let outgoing = chain.writableBytes &- 1
        switch operation {
        case .read:
            guard incoming == 0 else { throw bad }
            return try read(chain, memory, header.sector, bytes: outgoing)
        case .write:
            guard outgoing == 0 else { throw bad }
            try write(chain, memory, header.sector, bytes: incoming, isDurable)
        case .flush:
            guard incoming == 0, outgoing == 0 else { throw bad }
            counters.flushes &+= 1
            // Nothing was written, so there is nothing to bring anywhere.
            if !image.isReadOnly { try attempt { () throws(Errno) in try image.flush() } }
        case .identify:
            guard incoming == 0, Int(outgoing) == Self.identityBytes else { throw bad }
            _ = try? memory.scatter(identity, into: chain.writable)
            return outgoing
        case .discard, .writeZeroes:
            guard outgoing == 0 else { throw bad }
            try clear(operation, chain, memory, bytes: incoming, isDurable)
        }
        return 0
    }

    private func read(
        _ chain: DescriptorChain, _ memory: GuestMemory, _ sector: UInt64, bytes: UInt32
    ) throws(BlockRefusal) -> UInt32 {
        let place = try place(sector, bytes: bytes)
        let count = try attempt { () throws(Errno) in try image.read(place, memory, into: chain.writable) }
        counters.bytesRead &+= UInt64(count)
        // The host has made the file shorter: what is missing is not to be had.
        guard count == place.count else { throw .failed }
        return bytes
    }

    private func write(
        _ chain: DescriptorChain, _ memory: GuestMemory, _ sector: UInt64, bytes: UInt32, _ isDurable: Bool
    ) throws(BlockRefusal) {
        if image.isReadOnly { throw .failed }
        let place = try place(sector, bytes: bytes)
        let count = try attempt { () throws(Errno) in
            try image.write(place, memory, from: chain.readable, skipping: BlockHeader.byteCount)
        }
        counters.bytesWritten &+= UInt64(count)
        guard count == place.count else { throw .failed }
        if isDurable { try attempt { () throws(Errno) in try image.flush() } }
    }

    private func clear(
        _ operation: BlockOperation, _ chain: DescriptorChain, _ memory: GuestMemory, bytes: UInt32, _ isDurable: Bool
    ) throws(BlockRefusal) {
        if image.isReadOnly { throw .failed }
        let isDiscard = operation == .discard
        let most = isDiscard ? BlockLimit.discardRanges : BlockLimit.zeroRanges
        guard bytes > 0, bytes % UInt32(BlockRange.byteCount) == 0, bytes / UInt32(BlockRange.byteCount) <= most else {
            throw bad
        }
        ranges.removeAll(keepingCapacity: true)
        _ = try? memory.append(chain.readable, skipping: BlockHeader.byteCount, count: Int(bytes), to: &ranges)
        var reader = ByteReader(ranges, in: 0..<Int(bytes))
        // All are looked at before one is carried out.
        var places: [(place: Range<Int64>, mayUnmap: Bool)] = []
        while reader.left > 0 {
            let range = try BlockRange(&reader, operation)
            guard range.count <= (isDiscard ? BlockLimit.discardSectors : BlockLimit.zeroSectors),
                let place = image.place(range.sector, count: UInt64(range.count))
            else { throw bad }
            places.append((place, range.mayUnmap))
        }
        for (place, mayUnmap) in places {
            try attempt { () throws(Errno) in
                if isDiscard {
                    counters.discards &+= 1
                    try image.discard(place)
                } else {
                    counters.zeroes &+= 1
                    try image.writeZeroes(place, mayUnmap: mayUnmap)
                }
            }
        }
        if isDurable { try attempt { () throws(Errno) in try image.flush() } }
    }

    /// Where the data of a request belong: whole sectors, at least one, all on the disk.
    private func place(_ sector: UInt64, bytes: UInt32) throws(BlockRefusal) -> Range<Int64> {
        let (sectors, rest) = bytes.quotientAndRemainder(dividingBy: UInt32(DiskImage.sectorBytes))
        guard rest == 0, let place = image.place(sector, count: UInt64(sectors)) else { throw bad }
        return place
    }

    /// For a request that no driver makes.
    private var bad: BlockRefusal {
        counters.badRequests &+= 1
        return .failed
    }

    /// The guest is not told why: there is one status for all that the host can't do.
    private func attempt<Result>(_ body: () throws(Errno) -> Result) throws(BlockRefusal) -> Result {
        do throws(Errno) { return try body() } catch { throw .failed }
    }
}

import CLinux

/// Copies between guest memory and ours.
extension GuestMemory {
    /// Copies `count` bytes out of `[address, …)`.
    public func read(_ address: UInt64, count: Int) throws(GuestMemoryError) -> [UInt8] {
        guard let size = UInt64(exactly: count) else { throw .outOfRange }
        let source = try checked(address, count: size)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            if let target = buffer.baseAddress { memcpy(target, source, count) }
            filled = count
        }
    }

    /// Copies all of `bytes` to `[address, …)`.
    public func write(_ bytes: [UInt8], at address: UInt64) throws(GuestMemoryError) {
        let target = try checked(address, count: UInt64(bytes.count))
        bytes.withUnsafeBytes { source in
            if let from = source.baseAddress { memcpy(target, from, source.count) }
        }
    }

    /// A little-endian number of any width, at any address.
    public func load<T: FixedWidthInteger>(_ address: UInt64, as type: T.Type = T.self) throws(GuestMemoryError) -> T {
        T(littleEndian: try checked(address, count: UInt64(MemoryLayout<T>.size)).loadUnaligned(as: T.self))
    }

    public func store<T: FixedWidthInteger>(_ value: T, at address: UInt64) throws(GuestMemoryError) {
        let target = try checked(address, count: UInt64(MemoryLayout<T>.size))
        target.storeBytes(of: value.littleEndian, as: T.self)
    }

    /// Fills `bytes` from the segments' start.
    /// - Returns: how many bytes there were, at most `bytes.count`.
    public func gather(_ segments: [GuestSegment], into bytes: inout [UInt8]) throws(GuestMemoryError) -> Int {
        var done = 0
        for segment in segments where done < bytes.count {
            let count = min(Int(segment.count), bytes.count - done)
            let source = try checked(segment.address, count: UInt64(count))
            bytes.withUnsafeMutableBytes { buffer in
                if let target = buffer.baseAddress { memcpy(target + done, source, count) }
            }
            done += count
        }
        return done
    }

    /// Writes `bytes` over the segments' start.
    /// - Returns: how many bytes found room.
    @discardableResult
    public func scatter(_ bytes: [UInt8], into segments: [GuestSegment]) throws(GuestMemoryError) -> Int {
        var done = 0
        for segment in segments where done < bytes.count {
            let count = min(Int(segment.count), bytes.count - done)
            let target = try checked(segment.address, count: UInt64(count))
            bytes.withUnsafeBytes { buffer in
                if let source = buffer.baseAddress { memcpy(target, source + done, count) }
            }
            done += count
        }
        return done
    }

    /// Appends to `bytes` at most `count` bytes of the segments, without their first `skipping`.
    /// - Returns: how many it were.
    @discardableResult
    public func append(
        _ segments: [GuestSegment], skipping: Int, count: Int, to bytes: inout [UInt8]
    ) throws(GuestMemoryError) -> Int {
        var skip = skipping
        var left = count
        for segment in segments where left > 0 {
            let size = Int(segment.count)
            if skip >= size {
                skip -= size
                continue
            }
            let part = min(size - skip, left)
            let source = try checked(segment.address, count: UInt64(size)) + skip
            bytes.append(contentsOf: UnsafeRawBufferPointer(start: source, count: part))
            skip = 0
            left -= part
        }
        return count - left
    }
}

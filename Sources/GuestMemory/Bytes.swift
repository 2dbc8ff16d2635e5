import LinuxSys

/// Reads little-endian numbers and names off the front of bytes that came from the guest. Nothing here traps on them:
/// where there is less than was asked for, the error is `invalidArgument`.
///
/// Inlinable, as `ByteWriter` is: a device reads and writes dozens of numbers for each request, and a generic function of
/// another module is otherwise called by way of its witness tables.
@frozen
public struct ByteReader {
    @usableFromInline let bytes: [UInt8]
    @usableFromInline var at: Int
    @usableFromInline let end: Int

    /// Reads `bytes[range]`; the range is cut to what there is.
    public init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        end = min(max(range.upperBound, 0), bytes.count)
        at = min(max(range.lowerBound, 0), end)
    }

    /// Bytes that are left.
    @inlinable public var left: Int { end - at }

    @inlinable @inline(__always)
    public mutating func number<T: FixedWidthInteger>(_: T.Type = T.self) throws(Errno) -> T {
        let size = MemoryLayout<T>.size
        guard left >= size else { throw .invalidArgument }
        let value = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: T.self) }
        at += size
        return T(littleEndian: value)
    }

    public mutating func skip(_ count: Int) throws(Errno) {
        guard count >= 0, left >= count else { throw .invalidArgument }
        at += count
    }

    /// What stands before the next NUL, which is taken as well.
    public mutating func text() throws(Errno) -> ArraySlice<UInt8> {
        guard let stop = bytes[at..<end].firstIndex(of: 0) else { throw .invalidArgument }
        defer { at = stop + 1 }
        return bytes[at..<stop]
    }

    public mutating func take(_ count: Int) throws(Errno) -> ArraySlice<UInt8> {
        guard count >= 0, left >= count else { throw .invalidArgument }
        defer { at += count }
        return bytes[at..<at + count]
    }
}

/// Bytes for the guest, meant to be used again and again.
@frozen
public struct ByteWriter {
    @usableFromInline var storage: [UInt8] = []
    @inlinable public var bytes: [UInt8] { storage }

    public init() {}

    public var count: Int { storage.count }

    /// Starts anew with `count` zeros.
    public mutating func restart(zeros count: Int) {
        storage.removeAll(keepingCapacity: true)
        append(zeros: count)
    }

    @inlinable @inline(__always)
    public mutating func append<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { storage.append(contentsOf: $0) }
    }

    @inlinable
    public mutating func append(_ part: some Collection<UInt8>) { storage.append(contentsOf: part) }

    public mutating func append(zeros count: Int) {
        storage.append(contentsOf: repeatElement(0, count: max(count, 0)))
    }

    /// Writes a number over what was written before. The place is ours to know: one outside is an error of ours.
    @inlinable
    public mutating func patch<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        let size = MemoryLayout<T>.size
        precondition(offset >= 0 && offset + size <= storage.count)
        withUnsafeBytes(of: value.littleEndian) { part in
            for index in 0..<size { storage[offset + index] = part[index] }
        }
    }

    /// Forgets all but the first `count` bytes.
    public mutating func cut(to count: Int) {
        if count < storage.count { storage.removeLast(storage.count - max(count, 0)) }
    }
}

import LinuxSys

/// Reads little-endian numbers and names off the front of bytes that came from the guest. Nothing here traps on them:
/// where there is less than was asked for, the error is `invalidArgument`.
public struct ByteReader {
    private let bytes: [UInt8]
    private var at: Int
    private let end: Int

    /// Reads `bytes[range]`; the range is cut to what there is.
    public init(_ bytes: [UInt8], in range: Range<Int>) {
        self.bytes = bytes
        end = min(max(range.upperBound, 0), bytes.count)
        at = min(max(range.lowerBound, 0), end)
    }

    /// Bytes that are left.
    public var left: Int { end - at }

    @inline(__always)
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
public struct ByteWriter {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public var count: Int { bytes.count }

    /// Starts anew with `count` zeros.
    public mutating func restart(zeros count: Int) {
        bytes.removeAll(keepingCapacity: true)
        append(zeros: count)
    }

    @inline(__always)
    public mutating func append<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func append(_ part: some Collection<UInt8>) { bytes.append(contentsOf: part) }

    public mutating func append(zeros count: Int) {
        for _ in 0..<max(count, 0) { bytes.append(0) }
    }

    /// Writes a number over what was written before. The place is ours to know: one outside is an error of ours.
    public mutating func patch<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        let size = MemoryLayout<T>.size
        precondition(offset >= 0 && offset + size <= bytes.count)
        withUnsafeBytes(of: value.littleEndian) { part in
            for index in 0..<size { bytes[offset + index] = part[index] }
        }
    }

    /// Forgets all but the first `count` bytes.
    public mutating func cut(to count: Int) {
        if count < bytes.count { bytes.removeLast(bytes.count - max(count, 0)) }
    }
}

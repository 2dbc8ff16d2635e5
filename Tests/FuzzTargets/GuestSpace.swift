import Glibc
import GuestMemory
import LinuxSys

/// A guest's memory and what the guest knows to be in it: a write that it did not allow shows.
///
/// Three regions with holes between them; the last one ends where addresses do.
final class GuestSpace {
    static let rings: UInt64 = 0
    static let ringBytes = 0x8000
    static let buffers: UInt64 = 0x10_0000
    static let bufferBytes = 0x1_0000
    static let top: UInt64 = 0xFFFF_FFFF_FFFF_F000
    static let topBytes = 0x1000

    /// Where to point what should not be trusted: at the edges of the regions, and outside.
    static let addresses: [UInt64] = [
        0, 0x10, 0x1000, 0x7FF0, 0x7FFE, 0x7FFF, 0x8000, 0x10_0000, 0x10_1000, 0x10_8000, 0x10_FFF0, 0x10_FFFF,
        0x11_0000, 0x0F_FFF0, top - 1, top, top + 0xF00, .max - 15, .max - 1, .max, 1 << 63,
    ]

    let memory: GuestMemory
    private var copies: [(start: UInt64, bytes: [UInt8])]
    /// What the guest itself wrote since this was emptied last.
    var written: [GuestSegment] = []

    init() throws {
        let layout = [(Self.rings, Self.ringBytes), (Self.buffers, Self.bufferBytes), (Self.top, Self.topBytes)]
        memory = try GuestMemory(layout.map { try GuestRegion(anonymous: $0.1, at: $0.0) })
        copies = layout.map { ($0.0, [UInt8](repeating: 0, count: $0.1)) }
    }

    func load<T: FixedWidthInteger>(_ address: UInt64, as _: T.Type = T.self) -> T? { try? memory.load(address) }

    /// The guest writes; outside of its memory it can't.
    func write(_ bytes: [UInt8], at address: UInt64) {
        guard !bytes.isEmpty, (try? memory.write(bytes, at: address)) != nil else { return }
        written.append(GuestSegment(address: address, count: UInt32(bytes.count)))
        accept(address, bytes.count)
    }

    func store<T: FixedWidthInteger>(_ value: T, at address: UInt64) {
        var packed = Packed()
        packed.put(value)
        write(packed.bytes, at: address)
    }

    /// Whatever is in these ranges now is as it should be.
    func accept(_ ranges: [GuestSegment]) {
        // Merged, so that a thousand descriptors for one buffer cost one copy.
        var merged: [(start: UInt64, last: UInt64)] = []
        for range in ranges.sorted(by: { $0.address < $1.address }) where range.count > 0 {
            guard memory.contains(range.address, count: UInt64(range.count)) else { continue }
            let last = range.address &+ UInt64(range.count - 1)
            if let end = merged.last?.last, end >= range.address {
                merged[merged.count - 1].last = max(end, last)
            } else {
                merged.append((range.address, last))
            }
        }
        for range in merged { accept(range.start, Int(range.last - range.start) + 1) }
    }

    private func accept(_ address: UInt64, _ count: Int) {
        for index in copies.indices {
            let offset = address &- copies[index].start
            guard offset < UInt64(copies[index].bytes.count), count <= copies[index].bytes.count - Int(offset),
                let now = try? memory.read(address, count: count)
            else { continue }
            copies[index].bytes.withUnsafeMutableBytes { target in
                target[Int(offset)..<Int(offset) + count].copyBytes(from: now)
            }
        }
    }

    /// The first byte that is not as it should be.
    func strayWrite() -> UInt64? {
        for copy in copies {
            guard let now = try? memory.read(copy.start, count: copy.bytes.count) else { continue }
            if memcmp(now, copy.bytes, now.count) == 0 { continue }
            for index in now.indices where now[index] != copy.bytes[index] { return copy.start + UInt64(index) }
        }
        return nil
    }

    /// From here on everything is as it should be.
    func acceptAll() {
        for copy in copies { accept(copy.start, copy.bytes.count) }
    }
}

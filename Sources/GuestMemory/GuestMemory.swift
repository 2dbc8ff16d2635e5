import LinuxSys

/// A range of guest-physical memory, as a descriptor of a virtqueue names it. Not yet checked: every method of
/// `GuestMemory` that takes one checks it.
public struct GuestSegment: Equatable, Sendable {
    public var address: UInt64
    /// Bytes.
    public var count: UInt32

    public init(address: UInt64, count: UInt32) {
        self.address = address
        self.count = count
    }
}

/// Why a range of guest memory can't be used.
public enum GuestMemoryError: Error, Equatable, Sendable {
    /// Some of it is in no region, or it crosses the end of one.
    case outOfRange
    /// It is not aligned as the access needs.
    case misaligned
    /// Two regions overlap.
    case overlap
}

/// The guest's RAM: the only door to it. A range has to be in one region; nothing here traps on a guest's numbers.
///
/// The guest writes while we read, so whatever is read twice may differ: copy once, check the copy.
public final class GuestMemory: @unchecked Sendable {
    /// What a translation needs, without a reference count on its way.
    struct Window {
        let guestAddress: UInt64
        let userAddress: UInt64
        let count: UInt64
        let base: UnsafeMutableRawPointer
    }

    /// The regions keep the mappings that `windows` point to.
    public let regions: [GuestRegion]
    let windows: [Window]

    /// - Throws: `overlap` when two regions share a guest-physical or a user address.
    public init(_ regions: [GuestRegion]) throws(GuestMemoryError) {
        for (index, one) in regions.enumerated() {
            for other in regions[..<index] {
                if Self.overlap(one.guestAddress, one.count, other.guestAddress, other.count)
                    || Self.overlap(one.userAddress, one.count, other.userAddress, other.count)
                {
                    throw .overlap
                }
            }
        }
        self.regions = regions
        windows = regions.map {
            Window(guestAddress: $0.guestAddress, userAddress: $0.userAddress, count: $0.count, base: $0.base)
        }
    }

    /// Each is a region's start and its size, so that start + size - 1 does not overflow.
    private static func overlap(_ a: UInt64, _ aCount: UInt64, _ b: UInt64, _ bCount: UInt64) -> Bool {
        a < b ? b &- a < aCount : a &- b < bCount
    }

    /// Whether `[address, address + count)` is in one region.
    public func contains(_ address: UInt64, count: UInt64) -> Bool { pointer(to: address, count: count) != nil }

    /// The guest-physical address of `count` bytes at a vhost-user "user address".
    public func guestAddress(ofUser address: UInt64, count: UInt64) throws(GuestMemoryError) -> UInt64 {
        for window in windows {
            let offset = address &- window.userAddress
            if offset < window.count, count <= window.count &- offset { return window.guestAddress &+ offset }
        }
        throw .outOfRange
    }

    func pointer(to address: UInt64, count: UInt64) -> UnsafeMutableRawPointer? {
        for window in windows {
            let offset = address &- window.guestAddress
            // offset < window.count, so neither the subtraction nor the conversion can fail.
            if offset < window.count, count <= window.count &- offset { return window.base + Int(offset) }
        }
        return nil
    }

    func checked(_ address: UInt64, count: UInt64) throws(GuestMemoryError) -> UnsafeMutableRawPointer {
        guard let pointer = pointer(to: address, count: count) else { throw .outOfRange }
        return pointer
    }
}

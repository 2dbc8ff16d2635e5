import LinuxSys

/// One range of guest-physical memory and where it is mapped here.
public final class GuestRegion: Sendable {
    /// Where the guest sees it.
    public let guestAddress: UInt64
    /// Where the virtual machine monitor that owns the memory has it mapped: a vhost-user "user address".
    public let userAddress: UInt64
    /// Bytes.
    public let count: UInt64

    private let mapping: MemoryMapping
    /// Bytes of the mapping in front of the region.
    private let lead: Int

    var base: UnsafeMutableRawPointer { mapping.base + lead }

    /// Maps `count` bytes of a shared memory file from `offset`.
    /// - Throws: `invalidArgument` for a size or an address that overflows, or a file that ends before the region
    ///   does (touching what is missing would be a SIGBUS).
    public convenience init(
        guestAddress: UInt64, userAddress: UInt64, count: UInt64, offset: UInt64, sharing file: borrowing FileDescriptor
    ) throws(Errno) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, let size = Int(exactly: end), let lead = Int(exactly: offset) else { throw .invalidArgument }
        guard try file.size() >= end else { throw .invalidArgument }
        // From the file's start: an offset need not be a multiple of the page size of the file (huge pages).
        let mapping = try MemoryMapping(sharing: file.raw, offset: 0, count: size)
        try self.init(guestAddress: guestAddress, userAddress: userAddress, lead: lead, count: count, mapping: mapping)
    }

    /// Private zeros at `guestAddress`: a guest's memory without a guest, for tests.
    public convenience init(anonymous count: Int, at guestAddress: UInt64, userAddress: UInt64? = nil) throws(Errno) {
        let mapping = try MemoryMapping(anonymous: count)
        try self.init(
            guestAddress: guestAddress, userAddress: userAddress ?? guestAddress, lead: 0, count: UInt64(count),
            mapping: mapping)
    }

    private init(
        guestAddress: UInt64, userAddress: UInt64, lead: Int, count: UInt64, mapping: consuming MemoryMapping
    ) throws(Errno) {
        self.guestAddress = guestAddress
        self.userAddress = userAddress
        self.count = count
        self.lead = lead
        self.mapping = mapping
        // The last byte must have an address: then `address - start` never wraps into the region.
        guard count > 0, !guestAddress.addingReportingOverflow(count - 1).overflow,
            !userAddress.addingReportingOverflow(count - 1).overflow
        else { throw .invalidArgument }
    }
}

import GuestMemory
import LinuxSys
import Testing

@Suite struct GuestMemoryTests {
    let memory: GuestMemory

    init() throws {
        memory = try GuestMemory([
            GuestRegion(anonymous: 8192, at: 0x1000, userAddress: 0x7000_0000_1000),
            GuestRegion(anonymous: 4096, at: 0xFFFF_FFFF_FFFF_F000, userAddress: 0x1000),
        ])
    }

    @Test func rangesStayInOneRegion() {
        #expect(memory.contains(0x1000, count: 8192))
        #expect(memory.contains(0x2FFF, count: 1))
        #expect(!memory.contains(0x2FFF, count: 2))
        #expect(!memory.contains(0xFFF, count: 2))
        #expect(!memory.contains(0x3000, count: 0))
        #expect(!memory.contains(0x1000, count: .max))
        #expect(memory.contains(.max, count: 1))
        #expect(!memory.contains(.max, count: 2))
        #expect(!memory.contains(0, count: 1))
    }

    @Test func userAddressesAreTranslated() throws {
        #expect(try memory.guestAddress(ofUser: 0x7000_0000_1010, count: 16) == 0x1010)
        #expect(try memory.guestAddress(ofUser: 0x1FFF, count: 1) == .max)
        #expect(throws: GuestMemoryError.outOfRange) { try memory.guestAddress(ofUser: 0x1FFF, count: 2) }
        #expect(throws: GuestMemoryError.outOfRange) { try memory.guestAddress(ofUser: 0x2FFF, count: 1) }
        #expect(throws: GuestMemoryError.outOfRange) { try memory.guestAddress(ofUser: .max, count: .max) }
    }

    @Test func regionsDoNotOverlap() throws {
        let one = try GuestRegion(anonymous: 8192, at: 0x1000, userAddress: 0x10000)
        let touching = try GuestRegion(anonymous: 4096, at: 0x3000, userAddress: 0x20000)
        _ = try GuestMemory([one, touching])
        let inside = try GuestRegion(anonymous: 4096, at: 0x2000, userAddress: 0x30000)
        #expect(throws: GuestMemoryError.overlap) { try GuestMemory([inside, one]) }
        let sameUser = try GuestRegion(anonymous: 4096, at: 0x9000, userAddress: 0x11000)
        #expect(throws: GuestMemoryError.overlap) { try GuestMemory([one, sameUser]) }
        #expect(throws: Errno.invalidArgument) { try GuestRegion(anonymous: 8192, at: 0xFFFF_FFFF_FFFF_F000) }
    }

    @Test func numbersAndBytes() throws {
        try memory.store(UInt32(0x0403_0201), at: 0x1001)
        #expect(try memory.read(0x1000, count: 6) == [0, 1, 2, 3, 4, 0])
        #expect(try memory.load(0x1002, as: UInt16.self) == 0x0302)
        try memory.write([9, 8], at: 0x2FFE)
        #expect(throws: GuestMemoryError.outOfRange) { try memory.write([9, 8], at: 0x2FFF) }
        #expect(throws: GuestMemoryError.outOfRange) { try memory.load(0x2FF9, as: UInt64.self) }
        #expect(throws: GuestMemoryError.outOfRange) { try memory.read(0x1000, count: 8193) }
    }

    @Test func gatherAndScatter() throws {
        let segments = [GuestSegment(address: 0x1000, count: 3), GuestSegment(address: 0x2FFD, count: 3)]
        #expect(try memory.scatter([1, 2, 3, 4, 5], into: segments) == 5)
        var bytes = [UInt8](repeating: 0xFF, count: 4)
        #expect(try memory.gather(segments, into: &bytes) == 4)
        #expect(bytes == [1, 2, 3, 4])
        var all = [UInt8](repeating: 0xFF, count: 8)
        #expect(try memory.gather(segments, into: &all) == 6)
        #expect(all == [1, 2, 3, 4, 5, 0, 0xFF, 0xFF])
        var tail: [UInt8] = [7]
        #expect(try memory.append(segments, skipping: 2, count: 2, to: &tail) == 2)
        #expect(tail == [7, 3, 4])
        let outside = [GuestSegment(address: 0x1000, count: 3), GuestSegment(address: 0x2FFE, count: 3)]
        #expect(throws: GuestMemoryError.outOfRange) { try memory.scatter([1, 2, 3, 4, 5, 6], into: outside) }
        #expect(throws: GuestMemoryError.outOfRange) { try memory.append(outside, skipping: 3, count: 1, to: &tail) }
    }

    @Test func sendsAndReceivesInPlace() throws {
        let pair = try Sockets.pair(nonBlocking: true)
        let out = [GuestSegment(address: 0x1000, count: 5), GuestSegment(address: 0x1100, count: 5)]
        try memory.write([0, 1, 2, 3, 4], at: 0x1000)
        try memory.write([5, 6, 7, 8, 9], at: 0x1100)
        #expect(try memory.send(out, skipping: 3, limit: 6, to: pair.first.raw) == 6)
        let into = [GuestSegment(address: 0x2000, count: 2), GuestSegment(address: 0x2100, count: 100)]
        #expect(try memory.receive(from: pair.second.raw, into: into, limit: 5) == 5)
        #expect(try memory.read(0x2000, count: 3) == [3, 4, 0])
        #expect(try memory.read(0x2100, count: 4) == [5, 6, 7, 0])
        #expect(try memory.receive(from: pair.second.raw, into: into, limit: 100) == 1)
        #expect(throws: Errno.wouldBlock) { try memory.receive(from: pair.second.raw, into: into, limit: 1) }
        let outside = [GuestSegment(address: 0x2FFF, count: 2)]
        #expect(throws: Errno.badAddress) { try memory.send(outside, skipping: 0, limit: 1, to: pair.first.raw) }
        #expect(throws: Errno.badAddress) { try memory.receive(from: pair.second.raw, into: outside, limit: 1) }
    }

    @Test func viewsAreCheckedAndAligned() throws {
        #expect(throws: GuestMemoryError.misaligned) { _ = try GuestView(memory, at: 0x1001, count: 2, alignment: 2) }
        #expect(throws: GuestMemoryError.outOfRange) { _ = try GuestView(memory, at: 0x2FF0, count: 17, alignment: 2) }
        let view = try GuestView(memory, at: 0x1010, count: 16, alignment: 16)
        view.store64(8, 0x0102_0304_0506_0708)
        #expect(view.load16(8) == 0x0708)
        #expect(view.load32(12) == 0x0102_0304)
        view.storeRelease16(0, 7)
        #expect(view.loadAcquire16(0) == 7)
    }
}

import LinuxSys
import Testing

@testable import KVM

@Suite(.serialized)
struct TSCTests {
    @Test func isWhatALongCountSays() throws {
        let told = try #require(HostTSC.read())
        let counted = try #require(HostTSC.measure(microseconds: 30_000))
        #expect(HostTSC.agree(told.kilohertz, counted, within: 0.001), "\(told), counted \(counted)")
        #expect(HostTSC.kilohertz() != nil)
    }

    @Test func isQuick() {
        let begin = Clock.monotonicNanoseconds()
        for _ in 0..<5 { _ = HostTSC.read() }
        // Two milliseconds each, and the time that other tasks take.
        #expect(Clock.monotonicNanoseconds() - begin < 5 * 20_000_000)
    }

    @Test func crystal() {
        #expect(HostTSC.crystal([2, 200, 24_000_000, 0]) == 2_400_000)
        #expect(HostTSC.crystal([2, 84, 38_400_000, 0]) == 1_612_800)
        #expect(HostTSC.crystal([2, 200, 0, 0]) == nil)
        #expect(HostTSC.crystal([0, 0, 0, 0]) == nil)
        #expect(HostTSC.crystal([1, .max, .max, 0]) == nil)
    }

    @Test func agreement() {
        #expect(HostTSC.agree(2_445_426, 2_445_400, within: 0.001))
        #expect(!HostTSC.agree(2_400_000, 2_500_000, within: 0.01))
    }
}

import Testing

@testable import Virtio

@Suite struct BusyPollingTests {
    private static let longest: UInt64 = 200_000

    @Test func growsWithShortGapsUpToTheLongest() {
        var polling = BusyPolling(longestNanoseconds: Self.longest)
        #expect(polling.window == 0)
        var windows: [UInt64] = []
        for _ in 0..<6 {
            polling.found(after: Self.longest)
            windows.append(polling.window)
        }
        #expect(windows == [20_000, 40_000, 80_000, 160_000, 200_000, 200_000])
    }

    @Test func staysWhereItFindsThings() {
        var polling = BusyPolling(longestNanoseconds: Self.longest)
        polling.found(after: 1000)
        polling.found(after: 1000)
        #expect(polling.window == 20_000)
    }

    @Test func shrinksWithLongGapsToNothing() {
        var polling = BusyPolling(longestNanoseconds: Self.longest)
        for _ in 0..<6 { polling.found(after: Self.longest) }
        for window: UInt64 in [100_000, 50_000, 25_000, 0, 0] {
            polling.found(after: Self.longest + 1)
            #expect(polling.window == window)
        }
        // The first buffer of all.
        polling.found(after: .max)
        #expect(polling.window == 0)
    }

    @Test func isOffWithoutTime() {
        var polling = BusyPolling(longestNanoseconds: 0)
        #expect(polling.isOff)
        polling.found(after: 1)
        polling.found(after: 0)
        #expect(polling.window == 0)
    }
}

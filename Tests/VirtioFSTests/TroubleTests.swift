import LinuxSys
import Testing
import Virtio

@testable import VirtioFS

/// What must not make the device wait, or turn in circles.
struct TroubleTests {
    @Test func brokenQueueCostsTheNextDriverNoTime() throws {
        let guest = try FuseGuest()
        // It has answered, so that it has what it tries locks again with.
        _ = try guest.root()
        try guest.requests.setAvailableIndex(guest.requests.available &+ 1000)
        guest.run()
        guard case .broken = guest.lastRun else {
            Issue.record("\(guest.lastRun)")
            return
        }
        try guest.requests.setAvailableIndex(guest.requests.available)
        try guest.device.activate(guest.setup())
        let before = Clock.monotonicNanoseconds()
        _ = guest.device.deactivate()
        #expect(Clock.monotonicNanoseconds() - before < 1_500_000_000)
    }
}

import Glibc
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

    /// The host moves a directory up, and then the guest moves what was above it into it: the two are each other's
    /// parents, if what the guest was told before counts.
    @Test func hostAndGuestMoveDirectoriesIntoEachOther() async {
        await #expect(processExitsWith: .success) {
            // In a circle it would use memory as fast as it can.
            var most = rlimit(rlim_cur: 4 << 30, rlim_max: 4 << 30)
            setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &most)
            alarm(10)
            // With one descriptor at hand all others are looked for, up to the tree's root.
            let limits = FileSystemLimits(inodes: 100, openFiles: 10, descriptors: 1, lockOwners: 1)
            let guest = try FuseGuest(limits: limits)
            let root = try guest.root()
            let upper = try guest.makeDirectory("upper", in: root)
            let lower = try guest.makeDirectory("lower", in: upper.node)
            _ = try guest.call(.openDirectory, lower.node, FuseGuest.bytes([0 as UInt64]))
            try #require(rename(guest.host("upper/lower"), guest.host("lower")) == 0)
            let body = FuseGuest.bytes([lower.node]) + FuseGuest.text("upper") + FuseGuest.text("upper")
            _ = try guest.done(.rename, root, body)
            // The one descriptor is another's now.
            let other = try guest.makeDirectory("other", in: root)
            _ = try guest.call(.openDirectory, other.node, FuseGuest.bytes([0 as UInt64]))
            for node in [upper.node, lower.node] { _ = try guest.attributes(node) }
            try guest.forget(upper.node, 1)
            try guest.forget(lower.node, 1)
        }
    }
}

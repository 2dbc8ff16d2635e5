import CLinux
import LinuxSys

/// What the agent knows about its guest, and the guest's end.
enum Guest {
    static func kernelRelease() -> String {
        let bytes = (try? File.read("/proc/sys/kernel/osrelease", limit: 256)) ?? []
        return String(decoding: bytes.prefix { $0 != 0x0a }, as: UTF8.self)
    }

    /// Bytes of the guest's memory that no container may have.
    static let keptMemory: UInt64 = 8 << 20

    /// Bytes that could be had (MemAvailable); nil: the kernel does not say.
    static func availableMemory() -> UInt64? {
        let text = String(decoding: (try? File.readStart("/proc/meminfo", count: 4096)) ?? [], as: UTF8.self)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 3, words[0] == "MemAvailable:" { return UInt64(words[1]).map { $0 << 10 } }
        }
        return nil
    }

    /// Credits bytes of the host's random generator to the kernel's.
    static func addEntropy(_ seed: [UInt8]) {
        guard !seed.isEmpty, let random = try? FileDescriptor.open("/dev/urandom", O_WRONLY) else { return }
        if clinux_add_entropy(random.raw, seed, seed.count) != 0 { GuestConsole.say("seed: \(Errno.current)") }
    }

    /// Ends every process, and brings what is written to its place.
    static func settle() {
        // From the first process: all but itself.
        _ = kill(-1, SIGKILL)
        waitForProcesses(atMostMilliseconds: 2000)
        Disks.unmountAll()
        sync()
    }

    /// Ends the machine, which is settled.
    static func powerOff(shares: [String]) -> Never {
        for share in shares where umount2(share, 0) != 0 {
            _ = mount(nil, share, nil, UInt(MS_REMOUNT) | UInt(MS_RDONLY), nil)
        }
        GuestConsole.trace("reboot")
        // With reboot=t this is a triple fault, at which the virtual machine ends.
        _ = reboot(CInt(RB_AUTOBOOT))
        GuestConsole.say("reboot: \(Errno.current)")
        // The first process must not end: the kernel would panic, which is the last way out.
        exit(1)
    }

    /// Whoever lost its parent is a child of the first process: without children, nobody is left.
    private static func waitForProcesses(atMostMilliseconds limit: UInt64) {
        let deadline = Clock.monotonicNanoseconds() &+ limit &* 1_000_000
        while Clock.monotonicNanoseconds() < deadline {
            let pid = waitpid(-1, nil, WNOHANG)
            if pid < 0, Errno.current != .interrupted { return }
            if pid == 0 { usleep(500) }
        }
    }
}

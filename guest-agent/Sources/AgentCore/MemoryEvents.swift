import CLinux
import Cgroup
import LinuxSys

/// Tells of processes that the kernel killed for want of memory: its file of events says so by POLLPRI.
final class MemoryEvents {
    private let loop: EventLoop
    private let file: FileDescriptor
    private var token: EventLoop.Token?
    private var count: UInt64 = 0
    private let changed: (UInt64) -> Void

    /// nil: the kernel has no such file.
    init?(_ loop: EventLoop, cgroup: Cgroup, changed: @escaping (UInt64) -> Void) {
        self.loop = loop
        self.changed = changed
        do throws(Errno) {
            file = try FileDescriptor.open(cgroup.path + "/memory.events", O_RDONLY)
            token = try loop.watch(file.raw, .priority) { [self] _ in look() }
        } catch {
            return nil
        }
    }

    private func look() {
        // By this descriptor: else the kernel would tell of the same change again.
        lseek(file.raw, 0, SEEK_SET)
        guard let bytes = try? file.read(upTo: 4096),
            let now = Cgroup.value("oom_kill", in: bytes).map({ UInt64(clamping: $0) }),
            now > count
        else { return }
        count = now
        changed(now)
    }

    func close() {
        if let token { loop.unwatch(token) }
        token = nil
    }
}

import Glibc
import LinuxSys

/// The sandbox in the container's cgroup on the host.
extension Supervisor {
    /// This process, those that it starts from now on, and the container's stand-in.
    func joinCgroup() {
        for pid in [getpid(), request.standIn] {
            do throws(Errno) { try request.cgroup.join(pid) } catch {
                // One that is there and takes nobody is no container's: limits that don't hold must not pass for limits.
                fail(RuntimeError("joining the cgroup on the host: \(error)"))
            }
        }
    }

    func limitProcessorTime() {
        let limits = HostLimits(
            spec.linux?.resources, guestMemoryMiB: request.memoryMiB, accelerated: request.accelerated)
        do throws(RuntimeError) { try limits.applyQuota(to: request.cgroup) } catch { fail(error) }
    }
}

import JailCompiler
import OCISpec

/// A container's limits as the host holds them against its whole sandbox. Inside, the guest's kernel holds the same against
/// the container; these are the second line, for a guest that does not.
struct HostLimits: Equatable {
    /// Bytes; nil: none.
    var memory: Int64?
    var shares: UInt64?
    var quota: Int64?
    var period: UInt64?
    var cpus = ""
    var mems = ""

    /// MiB that QEMU, kvm-vmm and the supervisor need beside the guest's memory.
    static let processesMiB = 160
    /// And what QEMU's emulation keeps of translated code: without a `tb-size` 1 GiB, seen with a guest of 128 MiB too. Of
    /// that it fills some 0.6 MiB an exec.
    static let translationMiB = 1024

    init(_ resources: Linux.Resources?, guestMemoryMiB: Int, accelerated: Bool) {
        if let limit = resources?.memory?.limit, limit > 0 {
            // The guest's own memory is what the limit is turned into (GuestSize).
            memory = Int64(guestMemoryMiB + Self.processesMiB + (accelerated ? 0 : Self.translationMiB)) << 20
        }
        guard let cpu = resources?.cpu else { return }
        shares = cpu.shares.flatMap { $0 > 0 ? $0 : nil }
        quota = cpu.quota.flatMap { $0 != 0 ? $0 : nil }
        period = cpu.period.flatMap { $0 > 0 ? $0 : nil }
        cpus = cpu.cpus
        mems = cpu.mems
    }

    /// Those that hold from the beginning.
    func apply(to cgroup: HostCgroup) throws(RuntimeError) {
        if let memory { try cgroup.write(String(memory), "memory", v1: "memory.limit_in_bytes", v2: "memory.max") }
        if let shares {
            try cgroup.write(String(shares), "cpu", v1: "cpu.shares", v2: nil)
            if let weight = CgroupSettings.weight(shares: shares) {
                try cgroup.write(String(weight), "cpu", v1: nil, v2: "cpu.weight")
            }
        }
        if !cpus.isEmpty { try cgroup.write(cpus, "cpuset", v1: "cpuset.cpus", v2: "cpuset.cpus") }
        if !mems.isEmpty { try cgroup.write(mems, "cpuset", v1: "cpuset.mems", v2: "cpuset.mems") }
    }

    /// The quota holds from the program's start on: a guest that boots is not yet the container.
    func applyQuota(to cgroup: HostCgroup) throws(RuntimeError) {
        guard let quota else { return }
        let period = period ?? 100_000
        try cgroup.write(String(period), "cpu", v1: "cpu.cfs_period_us", v2: nil)
        try cgroup.write(String(quota), "cpu", v1: "cpu.cfs_quota_us", v2: nil)
        try cgroup.write("\(quota > 0 ? String(quota) : "max") \(period)", "cpu", v1: nil, v2: "cpu.max")
    }
}

import JailCompiler
import OCISpec
import QEMUDriver

/// A container's limits as the host holds them against its whole sandbox. Inside, the guest's kernel holds the same against
/// the container; these are the second line, for a guest that does not.
struct HostLimits: Equatable {
    /// Bytes; -1 lifts a limit; nil: none.
    var memory: Int64?
    var shares: UInt64?
    var quota: Int64?
    var period: UInt64?
    var cpus = ""
    var mems = ""
    var blockIO: Linux.Resources.BlockIO?

    /// MiB that QEMU, kvm-vmm and the supervisor need beside the guest's memory.
    static let processesMiB = 160
    /// And what QEMU's emulation keeps of translated code. It fills that whatever the size of the guest, with some 0.6 MiB an
    /// exec, and begins anew when it is full.
    static let translationMiB = QEMUDriver.translationMiB
    /// Processes and threads of a sandbox: QEMU has one a vCPU (of which `microvm` takes 288 at most), a pool of 64 and a few
    /// more, kvm-vmm up to 40. What the container has of them is in the guest, and nothing of the host's.
    static let tasks: UInt64 = 1024

    init(_ resources: Linux.Resources?, guestMemoryMiB: Int, accelerated: Bool) {
        if let limit = resources?.memory?.limit, limit != 0 {
            // The guest's own memory is what the limit is turned into (GuestSize).
            let size = guestMemoryMiB + Self.processesMiB + (accelerated ? 0 : Self.translationMiB)
            memory = limit > 0 ? Int64(size) << 20 : -1
        }
        blockIO = resources?.blockIO
        guard let cpu = resources?.cpu else { return }
        shares = cpu.shares.flatMap { $0 > 0 ? $0 : nil }
        quota = cpu.quota.flatMap { $0 != 0 ? $0 : nil }
        period = cpu.period.flatMap { $0 > 0 ? $0 : nil }
        cpus = cpu.cpus
        mems = cpu.mems
    }

    /// Those that hold from the beginning.
    var settings: [HostSetting] {
        var settings: [HostSetting] = []
        if let memory {
            settings.append(
                HostSetting(
                    "memory", v1: [.init("memory.limit_in_bytes", String(memory))],
                    v2: [.init("memory.max", memory < 0 ? "max" : String(memory))]))
        }
        if let shares {
            let weight = CgroupSettings.weight(shares: shares).map(String.init)
            settings.append(
                HostSetting(
                    "cpu", v1: [.init("cpu.shares", String(shares))],
                    v2: weight.map { [.init("cpu.weight", $0)] } ?? []))
        }
        if !cpus.isEmpty { settings.append(HostSetting("cpuset", both: .init("cpuset.cpus", cpus))) }
        if !mems.isEmpty { settings.append(HostSetting("cpuset", both: .init("cpuset.mems", mems))) }
        if let blockIO { settings += Self.settings(blockIO) }
        return settings
    }

    /// The quota holds once the container is made: a guest that boots is not yet the container.
    var quotaSettings: [HostSetting] {
        guard let quota else { return [] }
        let period = period ?? 100_000
        return [
            HostSetting("cpu", v1: [.init("cpu.cfs_period_us", String(period))]),
            HostSetting(
                "cpu", v1: [.init("cpu.cfs_quota_us", String(quota))],
                v2: [.init("cpu.max", "\(quota > 0 ? String(quota) : "max") \(period)")]),
        ]
    }

    /// That of processes is ours and not the container's: where it can't be set, nobody misses it.
    static let ownSettings = [HostSetting("pids", both: .init("pids.max", String(tasks)))]

    private static func settings(_ blockIO: Linux.Resources.BlockIO) -> [HostSetting] {
        var settings: [HostSetting] = []
        if let weight = blockIO.weight, weight > 0 {
            settings.append(Self.weight(weight, device: nil))
        }
        for device in blockIO.weightDevice {
            guard let weight = device.weight, weight > 0 else { continue }
            settings.append(Self.weight(weight, device: "\(device.major):\(device.minor)"))
        }
        let throttles: [([Linux.Resources.ThrottleDevice], String, String)] = [
            (blockIO.throttleReadBpsDevice, "read_bps_device", "rbps"),
            (blockIO.throttleWriteBpsDevice, "write_bps_device", "wbps"),
            (blockIO.throttleReadIOPSDevice, "read_iops_device", "riops"),
            (blockIO.throttleWriteIOPSDevice, "write_iops_device", "wiops"),
        ]
        for (devices, old, new) in throttles {
            for device in devices {
                let name = "\(device.major):\(device.minor)"
                settings.append(
                    HostSetting(
                        "io", v1: [.init("blkio.throttle." + old, "\(name) \(device.rate)")],
                        // v1's word for "no limit" is 0.
                        v2: [.init("io.max", "\(name) \(new)=\(device.rate == 0 ? "max" : String(device.rate))")]))
            }
        }
        return settings
    }

    /// BFQ's weights are v1's, 10 to 1000; those of v2 itself go from 1 to 10000, and are turned as runc does it.
    private static func weight(_ weight: UInt16, device: String?) -> HostSetting {
        let prefix = device.map { $0 + " " } ?? ""
        let suffix = device == nil ? "" : "_device"
        let own = prefix + String(weight)
        let wide = prefix + String(ioWeight(weight))
        return HostSetting(
            "io", v1: [.init("blkio.bfq.weight" + suffix, own), .init("blkio.weight" + suffix, own)],
            v2: [.init("io.bfq.weight", own), .init("io.weight", wide)])
    }

    static func ioWeight(_ weight: UInt16) -> UInt64 { 1 + (UInt64(min(max(weight, 10), 1000)) - 10) * 9999 / 990 }
}

extension HostLimits {
    /// Writes those that hold from the beginning.
    func apply(to cgroup: HostCgroup) throws(RuntimeError) {
        for setting in settings { try cgroup.write(setting) }
        for setting in Self.ownSettings { try? cgroup.write(setting) }
    }

    /// Writes the quota. systemd, where it made the cgroup, is told too, or it would set back what it did not know.
    func applyQuota(to cgroup: HostCgroup) throws(RuntimeError) {
        try cgroup.tell(quotaProperties)
        for setting in quotaSettings { try cgroup.write(setting) }
    }

    /// What was changed of a container that runs.
    func update(_ cgroup: HostCgroup) throws(RuntimeError) {
        try cgroup.tell(properties(isUnified: cgroup.isUnified))
        try apply(to: cgroup)
        try applyQuota(to: cgroup)
    }

    /// Controllers that there would have to be for these limits, and are not there.
    func missingControllers(in cgroup: HostCgroup) -> [String] {
        var missing: [String] = []
        for setting in settings + quotaSettings where !cgroup.has(setting.controller) {
            if !missing.contains(setting.controller) { missing.append(setting.controller) }
        }
        return missing
    }
}

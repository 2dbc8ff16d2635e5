import AgentProtocol
import OCISpec

/// Turns `linux.resources`, which speaks of cgroup v1, into files of cgroup v2, as runc does.
public enum CgroupSettings {
    public static func of(_ resources: Linux.Resources) throws(SpecError) -> [CgroupSetting] {
        var settings: [CgroupSetting] = []
        if let memory = resources.memory { settings += try Self.memory(memory) }
        if let cpu = resources.cpu { settings += Self.cpu(cpu) }
        if let limit = resources.pids?.limit {
            // The first process is one; 0 would keep it out, and with 1 it has no second, as with runc.
            settings.append(CgroupSetting("pids.max", limit < 0 ? "max" : String(max(limit, 1))))
        }
        for limit in resources.hugepageLimits {
            settings.append(CgroupSetting("hugetlb.\(limit.pageSize).max", String(limit.limit)))
        }
        for (file, value) in resources.unified.sorted(by: { $0.key < $1.key }) {
            // One write is one setting; a slash would lead to another group.
            guard !file.utf8.contains(UInt8(ascii: "/")), file.utf8.contains(UInt8(ascii: ".")) else {
                throw SpecError(path: "linux.resources.unified", message: "\(file) is no file of a cgroup")
            }
            settings.append(CgroupSetting(file, value))
        }
        return settings
    }

    private static func memory(_ memory: Linux.Resources.Memory) throws(SpecError) -> [CgroupSetting] {
        let limit = memory.limit ?? 0
        let together = memory.swap ?? 0
        var settings: [CgroupSetting] = []
        if let swap = try swap(together: together, limit: limit) {
            // Without swap in the guest, no limit and a limit of 0 are the same.
            settings.append(CgroupSetting("memory.swap.max", swap, isOptional: swap == "max" || swap == "0"))
        }
        if let value = number(limit) { settings.append(CgroupSetting("memory.max", value)) }
        if let value = number(memory.reservation ?? 0) { settings.append(CgroupSetting("memory.low", value)) }
        return settings
    }

    /// memory.swap.max counts swap alone, `memory.swap` memory and swap together. nil: leave it.
    static func swap(together: Int64, limit: Int64) throws(SpecError) -> String? {
        // Who lifts the limit of memory and says nothing about swap means both.
        if limit == -1 && together == 0 { return "max" }
        if together == -1 { return "max" }
        if together == 0 { return nil }
        let path = "linux.resources.memory.swap"
        guard limit > 0 else { throw SpecError(path: path, message: "needs a limit of memory") }
        guard together >= limit else { throw SpecError(path: path, message: "is less than the limit of memory") }
        return String(together - limit)
    }

    private static func cpu(_ cpu: Linux.Resources.CPU) -> [CgroupSetting] {
        var settings: [CgroupSetting] = []
        // Who is idle has no weight.
        if let idle = cpu.idle { settings.append(CgroupSetting("cpu.idle", idle == 0 ? "0" : "1")) }
        if let weight = cpu.idle == 1 ? nil : weight(shares: cpu.shares ?? 0) {
            settings.append(CgroupSetting("cpu.weight", String(weight)))
        }
        let quota = cpu.quota ?? 0
        let period = cpu.period ?? 0
        if quota != 0 || period != 0 {
            let time = quota > 0 ? String(quota) : "max"
            settings.append(CgroupSetting("cpu.max", "\(time) \(period == 0 ? 100_000 : period)"))
        }
        if let burst = cpu.burst {
            settings.append(CgroupSetting("cpu.max.burst", String(burst), isOptional: burst == 0))
        }
        if !cpu.cpus.isEmpty { settings.append(CgroupSetting("cpuset.cpus", cpu.cpus)) }
        if !cpu.mems.isEmpty { settings.append(CgroupSetting("cpuset.mems", cpu.mems)) }
        return settings
    }

    /// 2…262144 of cgroup v1 to 1…10000 of v2, linearly, as runc up to 1.3 does it. nil: leave it.
    public static func weight(shares: UInt64) -> UInt64? {
        guard shares > 0 else { return nil }
        let inRange = min(max(shares, 2), 262_144)
        return 1 + (inRange - 2) * 9999 / 262_142
    }

    /// 0 says nothing, what is negative "no limit".
    private static func number(_ value: Int64) -> String? {
        value == 0 ? nil : value < 0 ? "max" : String(value)
    }
}

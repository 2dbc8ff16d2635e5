import OCISpec

/// How large a container's guest is (docs/architecture.md, "Size of the guest").
public struct GuestSize: Equatable, Sendable {
    public let vcpus: Int
    public let memoryMiB: Int

    /// The least that a guest boots in and has something left for a container.
    static let leastMemoryMiB = 96

    /// - Parameters:
    ///   - choice: what the configuration chooses beside its limits.
    ///   - hostCPUs: a guest gets no more vCPUs than the host has CPUs.
    ///   - hostMemoryMiB: nor more memory than the host has.
    init(
        _ spec: Spec, _ configuration: Configuration, choice: VMChoice? = nil, hostCPUs: Int, hostMemoryMiB: Int
    ) {
        let resources = spec.linux?.resources?.withUnified
        let most = max(1, min(configuration.maximumVCPUs, hostCPUs))
        vcpus = max(
            1, min(choice?.vcpus ?? Self.wantedVCPUs(resources?.cpu) ?? configuration.defaultVCPUs, most))
        var memory = configuration.defaultMemoryMiB
        if let limit = resources?.memory?.limit, limit > 0 {
            // Rounded up without overflow: limit is any Int64.
            let limitMiB = Int(limit >> 20) + (limit & 0xfffff == 0 ? 0 : 1)
            let capped = min(limitMiB, hostMemoryMiB)
            memory = capped + (configuration.overheadMiB ?? Self.overheadMiB(forContainer: capped))
        }
        if let chosen = choice?.memoryMiB { memory = chosen }
        memoryMiB = max(Self.leastMemoryMiB, min(memory, max(hostMemoryMiB, Self.leastMemoryMiB)))
    }

    /// The quota in whole CPUs, rounded up, else the size of the cpuset, else nil.
    private static func wantedVCPUs(_ cpu: Linux.Resources.CPU?) -> Int? {
        if let quota = cpu?.quota, quota > 0 {
            let period = max(cpu?.period ?? 100_000, 1)
            let whole = UInt64(quota).quotientAndRemainder(dividingBy: period)
            return Int(clamping: whole.quotient) + (whole.remainder > 0 ? 1 : 0)
        }
        if let cpus = cpu?.cpus, !cpus.isEmpty { return CPUSet.count(cpus) }
        return nil
    }

    /// MiB that kernel, agent, page structures and the kernel's reserves take from a guest, so that a container with a limit
    /// of `memory` MiB can reach it. Measured as the guest's size less its MemAvailable: 46 at 128 MiB, 49 at 256, 56 at
    /// 512, 103 at 1024, 122 at 2048, 261 at 4096.
    static func overheadMiB(forContainer memory: Int) -> Int { 48 + memory / 16 }
}

extension Linux.Resources {
    /// With the limits that are given as files of cgroup v2, where they count.
    fileprivate var withUnified: Linux.Resources {
        var result = self
        if let limit = unified["memory.max"].flatMap(Self.bytes) {
            result.memory = result.memory ?? Memory()
            result.memory?.limit = limit
        }
        let time = (unified["cpu.max"] ?? "").split(separator: " ")
        if let first = time.first, let quota = Int64(first) {
            result.cpu = result.cpu ?? CPU()
            result.cpu?.quota = quota
            result.cpu?.period = time.count > 1 ? UInt64(time[1]) : nil
        }
        return result
    }

    /// As the kernel reads a size (memparse): "900M".
    private static func bytes(_ text: String) -> Int64? {
        let shifts: [Character: Int64] = ["k": 10, "K": 10, "m": 20, "M": 20, "g": 30, "G": 30, "t": 40, "T": 40]
        let unit = text.last.flatMap { shifts[$0] }
        guard let number = Int64(unit == nil ? text : String(text.dropLast())), number >= 0 else { return nil }
        let product = number.multipliedReportingOverflow(by: 1 << (unit ?? 0))
        return product.overflow ? .max : product.partialValue
    }
}

enum CPUSet {
    /// How many CPUs a list such as "0-3,7" names; nil when it is no list.
    static func count(_ list: String) -> Int? { NumberList.numbers(in: list)?.count }
}

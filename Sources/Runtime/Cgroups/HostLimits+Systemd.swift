import DBus
import JailCompiler
import OCISpec

/// A property of a unit of systemd's.
struct UnitProperty: Equatable {
    var name: String
    var value: DBusValue

    init(_ name: String, _ value: DBusValue) {
        self.name = name
        self.value = value
    }

    static func list(_ properties: [UnitProperty]) -> DBusValue {
        .array("(sv)", properties.map { .structure([.string($0.name), .variant($0.value)]) })
    }
}

// The limits as properties of a unit, by the names that systemd has for those of v1 and of v2; it writes its own values to
// the files whenever it sees fit, so it has to know ours.
extension HostLimits {
    func properties(isUnified: Bool) -> [UnitProperty] {
        var properties = [UnitProperty("TasksMax", .uint64(Self.tasks))]
        if let memory {
            properties.append(
                UnitProperty(
                    isUnified ? "MemoryMax" : "MemoryLimit", .uint64(memory < 0 ? .max : UInt64(memory))))
        }
        if let shares {
            if !isUnified {
                properties.append(UnitProperty("CPUShares", .uint64(min(max(shares, 2), 262_144))))
            } else if let weight = CgroupSettings.weight(shares: shares) {
                properties.append(UnitProperty("CPUWeight", .uint64(weight)))
            }
        }
        // systemd leaves v1's cpuset alone.
        if isUnified {
            if let bits = CPUSet.bits(cpus) { properties.append(UnitProperty("AllowedCPUs", bits)) }
            if let bits = CPUSet.bits(mems) { properties.append(UnitProperty("AllowedMemoryNodes", bits)) }
        }
        if let weight = blockIO?.weight, weight > 0 {
            properties.append(
                isUnified
                    ? UnitProperty("IOWeight", .uint64(Self.ioWeight(weight)))
                    : UnitProperty("BlockIOWeight", .uint64(UInt64(min(max(weight, 10), 1000)))))
        }
        return properties
    }

    var quotaProperties: [UnitProperty] {
        guard let quota else { return [] }
        var properties: [UnitProperty] = []
        if let period { properties.append(UnitProperty("CPUQuotaPeriodUSec", .uint64(period))) }
        properties.append(
            UnitProperty("CPUQuotaPerSecUSec", .uint64(quota < 0 ? .max : Self.perSecond(UInt64(quota), period))))
        return properties
    }

    /// systemd rounds down to hundredths of a processor, so we round up before.
    private static func perSecond(_ quota: UInt64, _ period: UInt64?) -> UInt64 {
        let (product, overflow) = quota.multipliedReportingOverflow(by: 1_000_000)
        let time = (overflow ? .max : product) / max(period ?? 100_000, 1)
        let (rounded, over) = time.addingReportingOverflow(9_999)
        return over ? .max : rounded / 10_000 * 10_000
    }
}

extension CPUSet {
    /// A list such as "0-3,7" as systemd takes it: bits in bytes, the lowest first; nil when it is empty or no list.
    static func bits(_ list: String) -> DBusValue? {
        guard let numbers = NumberList.numbers(in: list), let last = numbers.max() else { return nil }
        var bytes = [UInt8](repeating: 0, count: last / 8 + 1)
        for number in numbers { bytes[number / 8] |= 1 << (number % 8) }
        return .array("y", bytes.map(DBusValue.byte))
    }
}

import JSON

/// The files of a cgroup (v2) as the numbers of runc's `events --stats`.
struct CgroupStatistics {
    let texts: [String: String]

    init(_ texts: [String: String]) { self.texts = texts }

    /// "key value" lines.
    private func table(_ file: String) -> [String: UInt64] {
        var table: [String: UInt64] = [:]
        for line in (texts[file] ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = UInt64(words[1]) { table[String(words[0])] = value }
        }
        return table
    }

    /// One number; "max" is none.
    private func number(_ file: String) -> UInt64? {
        texts[file].flatMap { UInt64($0.split(separator: "\n").first ?? "") }
    }

    var json: JSONValue {
        [
            "cpu": cpu, "memory": memory, "pids": pids, "blkio": blkio, "hugetlb": .object(JSONObject()),
            "intel_rdt": .object(JSONObject()),
        ]
    }

    private var cpu: JSONValue {
        let table = table("cpu.stat")
        // Nanoseconds, where cgroup v2 has microseconds.
        func time(_ key: String) -> JSONValue {
            JSONValue((table[key] ?? 0).multipliedReportingOverflow(by: 1000).partialValue)
        }
        return [
            "usage": ["total": time("usage_usec"), "kernel": time("system_usec"), "user": time("user_usec")],
            "throttling": [
                "periods": JSONValue(table["nr_periods"] ?? 0),
                "throttledPeriods": JSONValue(table["nr_throttled"] ?? 0),
                "throttledTime": time("throttled_usec"),
            ],
        ]
    }

    private var memory: JSONValue {
        let table = table("memory.stat")
        let failures = self.table("memory.events")["max"] ?? 0
        func entry(_ usage: String, _ limit: String, _ peak: String?, failures: UInt64) -> JSONValue {
            var object: JSONObject = [
                // No limit is runc's largest number.
                "limit": JSONValue(number(limit) ?? .max), "usage": JSONValue(number(usage) ?? 0),
                "failcnt": JSONValue(failures),
            ]
            if let peak, let value = number(peak) { object["max"] = JSONValue(value) }
            return .object(object)
        }
        return [
            "cache": JSONValue(table["file"] ?? 0),
            "usage": entry("memory.current", "memory.max", "memory.peak", failures: failures),
            "swap": entry("memory.swap.current", "memory.swap.max", nil, failures: 0),
            "kernel": ["limit": 0, "usage": JSONValue(table["kernel"] ?? 0), "failcnt": 0],
            "kernelTCP": ["limit": 0, "usage": JSONValue(table["sock"] ?? 0), "failcnt": 0],
            "raw": .object(JSONObject(sorted: table.map { ($0.key, JSONValue($0.value)) })),
        ]
    }

    private var pids: JSONValue {
        var object: JSONObject = ["current": JSONValue(number("pids.current") ?? 0)]
        if let limit = number("pids.max") { object["limit"] = JSONValue(limit) }
        return .object(object)
    }

    /// Lines such as "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0".
    private var blkio: JSONValue {
        var bytes: [JSONValue] = []
        var operations: [JSONValue] = []
        for line in (texts["io.stat"] ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            let device = (words.first ?? "").split(separator: ":").compactMap { UInt64($0) }
            guard device.count == 2 else { continue }
            for word in words.dropFirst() {
                let parts = word.split(separator: "=")
                guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
                func entry(_ op: String) -> JSONValue {
                    [
                        "major": JSONValue(device[0]), "minor": JSONValue(device[1]), "op": .string(op),
                        "value": JSONValue(value),
                    ]
                }
                switch parts[0] {
                case "rbytes": bytes.append(entry("Read"))
                case "wbytes": bytes.append(entry("Write"))
                case "rios": operations.append(entry("Read"))
                case "wios": operations.append(entry("Write"))
                default: break
                }
            }
        }
        return ["ioServiceBytesRecursive": .array(bytes), "ioServicedRecursive": .array(operations)]
    }
}

import JSON

// The names of `linux.memoryPolicy`, and what set_mempolicy(2) calls them and wants of them.
extension Linux.MemoryPolicy {
    public static let modes: [String: UInt32] = [
        "MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
        "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6,
    ]

    public static let flagNumbers: [String: UInt32] = [
        "MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_NUMA_BALANCING": 1 << 13,
    ]

    /// Of Linux 6.9, and the guest has 6.1.
    static let newModes: Set<String> = ["MPOL_WEIGHTED_INTERLEAVE"]

    /// A guest has one memory node, number 0.
    static let guestNodes: Set<Int> = [0]

    /// What of a list of nodes no guest has, in words; nil: nothing.
    static func missingNodes(in list: String) -> String? {
        let missing = (NumberList.numbers(in: list) ?? []).subtracting(guestNodes).sorted()
        guard let first = missing.first else { return nil }
        return "node \(first) is not there: the guest has one memory node, 0"
    }

    /// As set_mempolicy(2) has it: the kernel's answer would be EINVAL for all of these.
    func validate(path: String) throws(SpecError) {
        guard Self.modes[mode] != nil else {
            throw Check.fail("\(path).mode", "unknown mode of a memory policy \(Check.quoted(mode))")
        }
        for (index, flag) in flags.enumerated() where Self.flagNumbers[flag] == nil {
            throw Check.fail("\(path).flags[\(index)]", "unknown flag of a memory policy \(Check.quoted(flag))")
        }
        try validateNodes(path: "\(path).nodes")
        try validateFlags(path: "\(path).flags")
    }

    private func validateNodes(path: String) throws(SpecError) {
        try Check.numberList(nodes, path)
        guard nodes.isEmpty || NumberList.numbers(in: nodes) != nil else {
            throw Check.fail(path, "must be a list such as 0-3,7, and is \(Check.quoted(nodes))")
        }
        switch mode {
        case "MPOL_DEFAULT", "MPOL_LOCAL":
            guard nodes.isEmpty else { throw Check.fail(path, "\(mode) has no nodes") }
        case "MPOL_PREFERRED": break
        default: guard !nodes.isEmpty else { throw Check.fail(path, "\(mode) needs at least one node") }
        }
    }

    private func validateFlags(path: String) throws(SpecError) {
        let isStatic = flags.contains("MPOL_F_STATIC_NODES")
        let isRelative = flags.contains("MPOL_F_RELATIVE_NODES")
        guard !isStatic || !isRelative else {
            throw Check.fail(path, "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other")
        }
        // MPOL_PREFERRED without a node is MPOL_LOCAL; of MPOL_DEFAULT the kernel wants no more than that nodes are absent.
        guard !(isStatic || isRelative) || !nodes.isEmpty || mode == "MPOL_DEFAULT" else {
            throw Check.fail(path, "\(isStatic ? "MPOL_F_STATIC_NODES" : "MPOL_F_RELATIVE_NODES") needs nodes")
        }
        guard !flags.contains("MPOL_F_NUMA_BALANCING") || mode == "MPOL_BIND" else {
            throw Check.fail(path, "MPOL_F_NUMA_BALANCING is for MPOL_BIND only")
        }
    }
}

import JSON

/// A set of capabilities as the kernel has it: bit n is the capability of number n (linux/capability.h).
public struct CapabilitySet: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// All that have a name.
    public static let all = CapabilitySet(rawValue: (1 << UInt64(names.count)) - 1)

    /// The set of some names; `path` is that of their list, for the error.
    ///
    /// Unknown names are errors, where runc warns and goes on: a misspelt capability should not vanish.
    public init(names: [String], path: String) throws(SpecError) {
        var bits: UInt64 = 0
        for (index, name) in names.enumerated() {
            guard let number = Self.number(of: name) else {
                throw SpecError(path: "\(path)[\(index)]", message: "unknown capability \(JSONText.quoted(name))")
            }
            bits |= 1 << UInt64(number)
        }
        self.init(rawValue: bits)
    }

    /// The number of a name such as "CAP_KILL".
    public static func number(of name: String) -> Int? {
        // Swift's == finds "K" in the Kelvin sign.
        guard name.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        return numbers[name]
    }

    /// The names in the set, by their numbers.
    public var names: [String] {
        Self.names.indices.filter { rawValue & (1 << UInt64($0)) != 0 }.map { Self.names[$0] }
    }

    /// Every name; its place is its number.
    public static let names = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
        "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
        "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
        "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
        "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ]

    private static let numbers: [String: Int] = {
        var numbers: [String: Int] = [:]
        for (number, name) in names.enumerated() {
            numbers[name] = number
        }
        return numbers
    }()
}

/// The five sets of a process, as masks.
public struct CapabilitySets: Equatable, Sendable {
    public var bounding: CapabilitySet = []
    public var effective: CapabilitySet = []
    public var inheritable: CapabilitySet = []
    public var permitted: CapabilitySet = []
    public var ambient: CapabilitySet = []

    public init() {}
}

extension Process.Capabilities {
    /// The sets as masks. `path` is that of this object.
    public func sets(path: String = "process.capabilities") throws(SpecError) -> CapabilitySets {
        var sets = CapabilitySets()
        sets.bounding = try CapabilitySet(names: bounding, path: path + ".bounding")
        sets.effective = try CapabilitySet(names: effective, path: path + ".effective")
        sets.inheritable = try CapabilitySet(names: inheritable, path: path + ".inheritable")
        sets.permitted = try CapabilitySet(names: permitted, path: path + ".permitted")
        sets.ambient = try CapabilitySet(names: ambient, path: path + ".ambient")
        return sets
    }
}

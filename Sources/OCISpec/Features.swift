import JSON

/// What the runtime can do, for callers that ask before they write a configuration (features.md).
///
/// Only written, never read: a runtime is asked, it doesn't ask.
public struct Features: Equatable, Sendable {
    public var ociVersionMin = SpecVersion.oldest
    public var ociVersionMax = SpecVersion.current
    /// The kinds of hook.
    public var hooks: [String]
    public var mountOptions: [String]
    public var annotations: [String: String] = [:]
    /// Keys of annotations that change what is done, and, ending with a dot, beginnings of such keys.
    public var steeringAnnotations = ["io.kvm-runtime."]
    public var namespaces: [String]
    public var capabilities: [String]
    public var seccomp: Bool
    public var apparmor: Bool
    public var selinux: Bool
    public var intelRdt: Bool
    public var idMappedMounts: Bool
    public var netDevices: Bool
    /// Of `linux.memoryPolicy`.
    public var memoryPolicyModes: [String]

    /// What `Support` says.
    public static var current: Features {
        Features(
            hooks: Hooks().all.map { $0.kind }.filter { isDone("hooks.\($0)") },
            mountOptions: MountWord.names.filter { MountWord.named($0).map { !Support.isRefused($0) } ?? false },
            namespaces: Support.namespaces.sorted(),
            capabilities: CapabilitySet.names,
            seccomp: isDone("linux.seccomp.syscalls"),
            apparmor: isDone("process.apparmorProfile"),
            selinux: isDone("process.selinuxLabel"),
            intelRdt: isDone("linux.intelRdt"),
            idMappedMounts: Support.mountMappings,
            netDevices: isDone("linux.netDevices"),
            memoryPolicyModes: Linux.MemoryPolicy.modes.keys.filter { !Linux.MemoryPolicy.newModes.contains($0) }
                .sorted())
    }

    private static func isDone(_ path: String) -> Bool {
        if case .done? = Support.table[path] { true } else { false }
    }

    /// The answer to `features`.
    public var json: JSONValue {
        var members = Members()
        members.put("ociVersionMin", ociVersionMin)
        members.put("ociVersionMax", ociVersionMax)
        // null would say "unknown", an empty list says "none".
        members.put("hooks", JSONValue(hooks))
        members.put("mountOptions", JSONValue(mountOptions))
        members.put("linux", linux)
        members.put("annotations", ifNotEmpty: annotations)
        members.put("potentiallyUnsafeConfigAnnotations", JSONValue(steeringAnnotations))
        return members.json
    }

    private var linux: JSONValue {
        [
            "namespaces": JSONValue(namespaces),
            "capabilities": JSONValue(capabilities),
            // On the host. Those in the guest are v2's.
            "cgroup": ["v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": false],
            "seccomp": [
                "enabled": .bool(seccomp),
                "actions": JSONValue(Linux.Seccomp.Action.allCases.filter { $0 != .notify }.map(\.rawValue)),
                "operators": JSONValue(Linux.Seccomp.Comparison.names),
                "archs": JSONValue(Linux.Seccomp.architectureNames.keys.sorted()),
                "knownFlags": JSONValue(Linux.Seccomp.flagNumbers.keys.sorted()),
                "supportedFlags": JSONValue(
                    Linux.Seccomp.flagNumbers.keys.sorted().filter { $0 != Linux.Seccomp.flagOfListeners }),
            ],
            "apparmor": ["enabled": .bool(apparmor)],
            "selinux": ["enabled": .bool(selinux)],
            "intelRdt": ["enabled": .bool(intelRdt)],
            "mountExtensions": ["idmap": ["enabled": .bool(idMappedMounts)]],
            "netDevices": ["enabled": .bool(netDevices)],
            "memoryPolicy": [
                "modes": JSONValue(memoryPolicyModes),
                "flags": JSONValue(Linux.MemoryPolicy.flagNumbers.keys.sorted()),
            ],
        ]
    }
}

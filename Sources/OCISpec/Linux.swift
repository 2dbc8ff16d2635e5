import JSON

/// What is special to Linux (config-linux.md).
public struct Linux: SpecObject {
    public var uidMappings: [IDMapping] = []
    public var gidMappings: [IDMapping] = []
    /// Keys with dots or slashes: "net.ipv4.ip_forward".
    public var sysctl: [String: String] = [:]
    public var resources: Resources?
    /// Empty: the runtime chooses.
    public var cgroupsPath = ""
    public var namespaces: [Namespace] = []
    /// Besides those that every container has (config-linux.md, "Default Devices").
    public var devices: [Device] = []
    /// By their names on the host.
    public var netDevices: [String: NetDevice] = [:]
    public var seccomp: Seccomp?
    /// "private", "rslave", …; empty: not said.
    public var rootfsPropagation = ""
    public var maskedPaths: [String] = []
    public var readonlyPaths: [String] = []
    public var mountLabel = ""
    public var intelRdt: IntelRdt?
    public var memoryPolicy: MemoryPolicy?
    public var personality: Personality?
    /// By the name of the clock: "monotonic", "boottime".
    public var timeOffsets: [String: TimeOffset] = [:]

    public init() {}

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        uidMappings = try fields["uidMappings"].list(of: IDMapping.init(decoding:))
        gidMappings = try fields["gidMappings"].list(of: IDMapping.init(decoding:))
        sysctl = try fields["sysctl"].stringMap()
        resources = try fields.optional("resources", Resources.init(decoding:))
        cgroupsPath = try fields["cgroupsPath"].string(or: "")
        namespaces = try fields["namespaces"].list(of: Namespace.init(decoding:))
        devices = try fields["devices"].list(of: Device.init(decoding:))
        netDevices = try fields["netDevices"].map(of: NetDevice.init(decoding:))
        seccomp = try fields.optional("seccomp", Seccomp.init(decoding:))
        rootfsPropagation = try fields["rootfsPropagation"].string(or: "")
        maskedPaths = try fields["maskedPaths"].strings()
        readonlyPaths = try fields["readonlyPaths"].strings()
        mountLabel = try fields["mountLabel"].string(or: "")
        intelRdt = try fields.optional("intelRdt", IntelRdt.init(decoding:))
        memoryPolicy = try fields.optional("memoryPolicy", MemoryPolicy.init(decoding:))
        personality = try fields.optional("personality", Personality.init(decoding:))
        timeOffsets = try fields["timeOffsets"].map(of: TimeOffset.init(decoding:))
    }

    public var json: JSONValue {
        var members = Members()
        members.put("uidMappings", ifNotEmpty: uidMappings)
        members.put("gidMappings", ifNotEmpty: gidMappings)
        members.put("sysctl", ifNotEmpty: sysctl)
        members.put("resources", ifPresent: resources)
        members.put("cgroupsPath", ifNotEmpty: cgroupsPath)
        members.put("namespaces", ifNotEmpty: namespaces)
        members.put("devices", ifNotEmpty: devices)
        members.put("netDevices", ifNotEmpty: netDevices)
        members.put("seccomp", ifPresent: seccomp)
        members.put("rootfsPropagation", ifNotEmpty: rootfsPropagation)
        members.put("maskedPaths", ifNotEmpty: maskedPaths)
        members.put("readonlyPaths", ifNotEmpty: readonlyPaths)
        members.put("mountLabel", ifNotEmpty: mountLabel)
        members.put("intelRdt", ifPresent: intelRdt)
        members.put("memoryPolicy", ifPresent: memoryPolicy)
        members.put("personality", ifPresent: personality)
        members.put("timeOffsets", ifNotEmpty: timeOffsets)
        return members.json
    }
}

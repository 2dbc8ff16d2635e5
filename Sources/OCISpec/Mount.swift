import JSON

/// Something mounted in the container besides its root (config.md, "Mounts").
public struct Mount: SpecObject {
    /// In the container. Relative ones are old, and mean the same below "/": see `containerPath`.
    public var destination: String
    /// A file system, or "bind". Without meaning if the options ask for a bind mount.
    public var type = ""
    /// For a bind mount a path on the host, relative to the bundle if it isn't absolute.
    public var source = ""
    /// As in fstab; see `MountOptions`.
    public var options: [String] = []
    public var uidMappings: [IDMapping] = []
    public var gidMappings: [IDMapping] = []

    public init(destination: String, type: String = "", source: String = "", options: [String] = []) {
        self.destination = destination
        self.type = type
        self.source = source
        self.options = options
    }

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        destination = try fields["destination"].string()
        type = try fields["type"].string(or: "")
        source = try fields["source"].string(or: "")
        options = try fields["options"].strings()
        uidMappings = try fields["uidMappings"].list(of: IDMapping.init(decoding:))
        gidMappings = try fields["gidMappings"].list(of: IDMapping.init(decoding:))
    }

    public var json: JSONValue {
        var members = Members()
        members.put("destination", destination)
        members.put("type", ifNotEmpty: type)
        members.put("source", ifNotEmpty: source)
        members.put("options", ifNotEmpty: options)
        members.put("uidMappings", ifNotEmpty: uidMappings)
        members.put("gidMappings", ifNotEmpty: gidMappings)
        return members.json
    }
}

extension Mount {
    /// The destination as an absolute path of the container, without "." and ".." and doubled slashes, as with runc:
    /// ".." is taken by the words, not by what symlinks make of it.
    public var containerPath: String {
        var names: [Substring.UTF8View] = []
        for name in destination[...].utf8.split(separator: UInt8(ascii: "/")) {
            if name.elementsEqual("..".utf8) {
                _ = names.popLast()
            } else if !name.elementsEqual(".".utf8) {
                names.append(name)
            }
        }
        return "/" + names.map { String(Substring($0)) }.joined(separator: "/")
    }

    /// Whether this makes a part of the host's tree appear in the container.
    ///
    /// The specification goes by the options; "bind" as a type without them is what crun takes for the same.
    public var isBind: Bool {
        type == "bind" || type == "rbind" || options.contains("bind") || options.contains("rbind")
    }

    var isCgroup: Bool { !isBind && (type == "cgroup" || type == "cgroup2") }

    /// Whether it is an overlay of directories of the host.
    public var isOverlay: Bool { !isBind && type == "overlay" }

    /// The options as mount(2) wants them. A type of "rbind" counts as the option of that name, "bind" likewise.
    public var parsedOptions: MountOptions {
        var parsed = MountOptions(parsing: options)
        if isBind, !parsed.setFlags.contains(.bind) {
            parsed.setFlags.insert(type == "rbind" ? [.bind, .recursive] : .bind)
        }
        return parsed
    }
}

extension Spec {
    /// Binds of the host's cgroups into a mount of cgroups, by their index in `mounts`: how podman gives systemd its own on
    /// hosts with v1. The guest's cgroups, which are v2, have no such place.
    public var cgroupBinds: Set<Int> {
        let places = mounts.filter(\.isCgroup).map { $0.containerPath + "/" }
        return Set(
            mounts.indices.filter { index in
                let mount = mounts[index]
                return mount.isBind && mount.source.hasPrefix("/sys/fs/cgroup/")
                    && places.contains { mount.containerPath.hasPrefix($0) }
            })
    }

    /// `mounts` without those, by their indices; where one of them is writable, so are the guest's cgroups.
    public var guestMounts: [(index: Int, mount: Mount)] {
        let binds = cgroupBinds
        let isWritable = binds.contains { !mounts[$0].parsedOptions.setFlags.contains(.readOnly) }
        return mounts.indices.filter { !binds.contains($0) }.map { index in
            var mount = mounts[index]
            if isWritable, mount.isCgroup { mount.options.append("rw") }
            return (index, mount)
        }
    }
}

extension [IDMapping] {
    /// As /proc/PID/uid_map has them: a line a range.
    public var lines: String { map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined() }

    /// What an id of the container is outside of its user namespace; nil: nothing.
    public func outer(_ id: UInt32) -> UInt32? {
        for mapping in self where id >= mapping.containerID && id - mapping.containerID < mapping.size {
            return mapping.hostID &+ (id - mapping.containerID)
        }
        return nil
    }
}

/// A range of ids and what they are outside (config-linux.md, "User namespace mappings").
public struct IDMapping: SpecObject {
    public var containerID: UInt32
    public var hostID: UInt32
    /// How many ids.
    public var size: UInt32

    public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
        self.containerID = containerID
        self.hostID = hostID
        self.size = size
    }

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        containerID = try fields["containerID"].int()
        hostID = try fields["hostID"].int()
        size = try fields["size"].int()
    }

    public var json: JSONValue {
        var members = Members()
        members.put("containerID", containerID)
        members.put("hostID", hostID)
        members.put("size", size)
        return members.json
    }
}

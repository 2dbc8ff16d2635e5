import JSON

/// A container's configuration: config.json of a bundle (config.md).
public struct Spec: SpecObject {
    /// The version of the specification that the configuration follows: "1.0.2-dev".
    public var ociVersion: String
    /// What to run. May be absent until `start`; kvm-runtime wants it at `create`, as runc does.
    public var process: Process?
    public var root: Root?
    /// Empty: the name is left as it is.
    public var hostname = ""
    /// Empty: the name is left as it is.
    public var domainname = ""
    /// In the order in which they are to be mounted.
    public var mounts: [Mount] = []
    public var hooks: Hooks?
    public var annotations: [String: String] = [:]
    public var linux: Linux?
    public var vm: VM?

    public init(ociVersion: String, process: Process? = nil, root: Root? = nil, linux: Linux? = nil) {
        self.ociVersion = ociVersion
        self.process = process
        self.root = root
        self.linux = linux
    }

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        ociVersion = try fields["ociVersion"].string()
        process = try fields.optional("process", Process.init(decoding:))
        root = try fields.optional("root", Root.init(decoding:))
        hostname = try fields["hostname"].string(or: "")
        domainname = try fields["domainname"].string(or: "")
        mounts = try fields["mounts"].list(of: Mount.init(decoding:))
        hooks = try fields.optional("hooks", Hooks.init(decoding:))
        annotations = try fields["annotations"].stringMap()
        linux = try fields.optional("linux", Linux.init(decoding:))
        vm = try fields.optional("vm", VM.init(decoding:))
    }

    public var json: JSONValue {
        var members = Members()
        members.put("ociVersion", ociVersion)
        members.put("process", ifPresent: process)
        members.put("root", ifPresent: root)
        members.put("hostname", ifNotEmpty: hostname)
        members.put("domainname", ifNotEmpty: domainname)
        members.put("mounts", ifNotEmpty: mounts)
        members.put("hooks", ifPresent: hooks)
        members.put("annotations", ifNotEmpty: annotations)
        members.put("linux", ifPresent: linux)
        members.put("vm", ifPresent: vm)
        return members.json
    }
}

/// The container's root filesystem (config.md, "Root").
public struct Root: SpecObject {
    /// On the host; relative to the bundle if it isn't absolute.
    public var path: String
    public var readonly: Bool

    public init(path: String, readonly: Bool = false) {
        self.path = path
        self.readonly = readonly
    }

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        path = try fields["path"].string()
        readonly = try fields["readonly"].bool(or: false)
    }

    public var json: JSONValue {
        var members = Members()
        members.put("path", path)
        members.put("readonly", ifTrue: readonly)
        return members.json
    }
}

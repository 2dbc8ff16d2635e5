import JSON

/// Programs to run at points of the container's life (config.md, "POSIX-platform Hooks").
public struct Hooks: SpecObject {
    /// Deprecated by the specification, and still in use.
    public var prestart: [Hook] = []
    public var createRuntime: [Hook] = []
    public var createContainer: [Hook] = []
    public var startContainer: [Hook] = []
    public var poststart: [Hook] = []
    public var poststop: [Hook] = []

    public init() {}

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        prestart = try fields["prestart"].list(of: Hook.init(decoding:))
        createRuntime = try fields["createRuntime"].list(of: Hook.init(decoding:))
        createContainer = try fields["createContainer"].list(of: Hook.init(decoding:))
        startContainer = try fields["startContainer"].list(of: Hook.init(decoding:))
        poststart = try fields["poststart"].list(of: Hook.init(decoding:))
        poststop = try fields["poststop"].list(of: Hook.init(decoding:))
    }

    public var json: JSONValue {
        var members = Members()
        for (kind, hooks) in all {
            members.put(kind, ifNotEmpty: hooks)
        }
        return members.json
    }

    /// The kinds in the order of the container's life, each with its hooks.
    public var all: [(kind: String, hooks: [Hook])] {
        [
            ("prestart", prestart), ("createRuntime", createRuntime), ("createContainer", createContainer),
            ("startContainer", startContainer), ("poststart", poststart), ("poststop", poststop),
        ]
    }
}

/// A program to run.
public struct Hook: SpecObject {
    /// Absolute, on the host.
    public var path: String
    /// As of execv(3): the first is the program's name.
    public var args: [String] = []
    public var env: [String] = []
    /// Seconds; nil: as long as it takes.
    public var timeout: Int?

    public init(path: String) {
        self.path = path
    }

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        path = try fields["path"].string()
        args = try fields["args"].strings()
        env = try fields["env"].strings()
        timeout = try fields["timeout"].optionalInt()
    }

    public var json: JSONValue {
        var members = Members()
        members.put("path", path)
        members.put("args", ifNotEmpty: args)
        members.put("env", ifNotEmpty: env)
        members.put("timeout", ifPresent: timeout)
        return members.json
    }
}

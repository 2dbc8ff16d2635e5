import JSON

/// A process of the container: the first one, or that of an exec (config.md, "Process").
public struct Process: SpecObject {
    /// Whether standard input, output and error are a terminal.
    public var terminal = false
    public var consoleSize: ConsoleSize?
    public var user = User()
    /// The program and its arguments. The specification lets it be absent until `start`.
    public var args: [String]
    /// Each NAME=VALUE.
    public var env: [String] = []
    /// Absolute, inside the container.
    public var cwd: String
    /// nil: nothing was said. runc gives such a process no capabilities at all.
    public var capabilities: Capabilities?
    public var rlimits: [Rlimit] = []
    public var noNewPrivileges = false
    public var apparmorProfile = ""
    /// -1000 to 1000; nil: inherited.
    public var oomScoreAdj: Int?
    public var scheduler: Scheduler?
    public var selinuxLabel = ""
    public var ioPriority: IOPriority?
    public var execCPUAffinity: ExecCPUAffinity?

    public init(args: [String], cwd: String = "/") {
        self.args = args
        self.cwd = cwd
    }

    public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        let fields = try cursor.object()
        terminal = try fields["terminal"].bool(or: false)
        consoleSize = try fields.optional("consoleSize", ConsoleSize.init(decoding:))
        // Go gives an absent user 0:0, and the schema doesn't require one.
        user = try fields.optional("user", User.init(decoding:)) ?? User()
        args = try fields["args"].strings()
        env = try fields["env"].strings()
        cwd = try fields["cwd"].string()
        capabilities = try fields.optional("capabilities", Capabilities.init(decoding:))
        rlimits = try fields["rlimits"].list(of: Rlimit.init(decoding:))
        noNewPrivileges = try fields["noNewPrivileges"].bool(or: false)
        apparmorProfile = try fields["apparmorProfile"].string(or: "")
        oomScoreAdj = try fields["oomScoreAdj"].optionalInt()
        scheduler = try fields.optional("scheduler", Scheduler.init(decoding:))
        selinuxLabel = try fields["selinuxLabel"].string(or: "")
        ioPriority = try fields.optional("ioPriority", IOPriority.init(decoding:))
        execCPUAffinity = try fields.optional("execCPUAffinity", ExecCPUAffinity.init(decoding:))
    }

    public var json: JSONValue {
        var members = Members()
        members.put("terminal", ifTrue: terminal)
        members.put("consoleSize", ifPresent: consoleSize)
        members.put("user", user.json)
        members.put("args", ifNotEmpty: args)
        members.put("env", ifNotEmpty: env)
        members.put("cwd", cwd)
        members.put("capabilities", ifPresent: capabilities)
        members.put("rlimits", ifNotEmpty: rlimits)
        members.put("noNewPrivileges", ifTrue: noNewPrivileges)
        members.put("apparmorProfile", ifNotEmpty: apparmorProfile)
        members.put("oomScoreAdj", ifPresent: oomScoreAdj)
        members.put("scheduler", ifPresent: scheduler)
        members.put("selinuxLabel", ifNotEmpty: selinuxLabel)
        members.put("ioPriority", ifPresent: ioPriority)
        members.put("execCPUAffinity", ifPresent: execCPUAffinity)
        return members.json
    }
}

extension Process {
    /// The size of the terminal, in characters.
    public struct ConsoleSize: SpecObject {
        public var height: UInt
        public var width: UInt

        public init(height: UInt, width: UInt) {
            self.height = height
            self.width = width
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            height = try fields["height"].int()
            width = try fields["width"].int()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("height", height)
            members.put("width", width)
            return members.json
        }
    }

    /// Who the process runs as (config.md, "POSIX-platform User").
    public struct User: SpecObject {
        public var uid: UInt32
        public var gid: UInt32
        /// nil: 0022, the kernel's own.
        public var umask: UInt32?
        public var additionalGids: [UInt32] = []
        /// Of Windows; kept, and without a meaning here.
        public var username = ""

        public init(uid: UInt32 = 0, gid: UInt32 = 0) {
            self.uid = uid
            self.gid = gid
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            uid = try fields["uid"].int(or: 0)
            gid = try fields["gid"].int(or: 0)
            umask = try fields["umask"].optionalInt()
            additionalGids = try fields["additionalGids"].ints()
            username = try fields["username"].string(or: "")
        }

        public var json: JSONValue {
            var members = Members()
            members.put("uid", uid)
            members.put("gid", gid)
            members.put("umask", ifPresent: umask)
            members.put("additionalGids", ifNotEmpty: additionalGids)
            members.put("username", ifNotEmpty: username)
            return members.json
        }
    }
}

import JSON

extension Linux {
    /// A device node to make in the container (config-linux.md, "Devices").
    public struct Device: SpecObject {
        public enum Kind: String, CaseIterable, Sendable {
            case character = "c"
            case block = "b"
            /// The same as `character`.
            case unbufferedCharacter = "u"
            case fifo = "p"
        }

        /// Absolute, in the container.
        public var path: String
        public var type: Kind
        /// 0 for a fifo, as is the minor number.
        public var major: Int64
        public var minor: Int64
        /// As it was given. Some callers put the bits of the file's type in; `permissions` is without them.
        public var fileMode: UInt32?
        public var uid: UInt32?
        public var gid: UInt32?

        public init(path: String, type: Kind, major: Int64 = 0, minor: Int64 = 0) {
            self.path = path
            self.type = type
            self.major = major
            self.minor = minor
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            path = try fields["path"].string()
            type = try fields["type"].name("device type")
            // The specification wants numbers for all but fifos.
            major = type == .fifo ? try fields["major"].int(or: 0) : try fields["major"].int()
            minor = type == .fifo ? try fields["minor"].int(or: 0) : try fields["minor"].int()
            fileMode = try fields["fileMode"].optionalInt()
            uid = try fields["uid"].optionalInt()
            gid = try fields["gid"].optionalInt()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("path", path)
            members.put("type", type.rawValue)
            members.put("major", major)
            members.put("minor", minor)
            members.put("fileMode", ifPresent: fileMode)
            members.put("uid", ifPresent: uid)
            members.put("gid", ifPresent: gid)
            return members.json
        }

        /// The permissions of the node; 0666 if none were given, as with runc.
        public var permissions: UInt32 { (fileMode ?? 0o666) & 0o7777 }
    }

    /// Which devices processes of the cgroup may open or make (config-linux.md, "Allowed Device list").
    public struct DeviceRule: SpecObject {
        public var allow: Bool
        /// "a", "b", "c"; empty: all.
        public var type: String
        /// nil: all.
        public var major: Int64?
        public var minor: Int64?
        /// Some of r, w and m.
        public var access: String

        public init(allow: Bool, type: String = "", major: Int64? = nil, minor: Int64? = nil, access: String = "") {
            self.allow = allow
            self.type = type
            self.major = major
            self.minor = minor
            self.access = access
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            allow = try fields["allow"].bool()
            type = try fields["type"].string(or: "")
            major = try fields["major"].optionalInt()
            minor = try fields["minor"].optionalInt()
            access = try fields["access"].string(or: "")
        }

        public var json: JSONValue {
            var members = Members()
            members.put("allow", ifPresent: allow)
            members.put("type", ifNotEmpty: type)
            members.put("major", ifPresent: major)
            members.put("minor", ifPresent: minor)
            members.put("access", ifNotEmpty: access)
            return members.json
        }
    }
}

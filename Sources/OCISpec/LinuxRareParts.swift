import JSON

// The parts of config-linux.md that few containers have.
extension Linux {
    /// Cache and memory bandwidth (config-linux.md, "IntelRdt").
    public struct IntelRdt: SpecObject {
        public var closID: String
        public var schemata: [String]
        public var l3CacheSchema: String
        public var memBwSchema: String
        public var enableMonitoring: Bool

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            closID = try fields["closID"].string(or: "")
            schemata = try fields["schemata"].strings()
            l3CacheSchema = try fields["l3CacheSchema"].string(or: "")
            memBwSchema = try fields["memBwSchema"].string(or: "")
            enableMonitoring = try fields["enableMonitoring"].bool(or: false)
        }

        public var json: JSONValue {
            var members = Members()
            members.put("closID", ifNotEmpty: closID)
            members.put("schemata", ifNotEmpty: schemata)
            members.put("l3CacheSchema", ifNotEmpty: l3CacheSchema)
            members.put("memBwSchema", ifNotEmpty: memBwSchema)
            members.put("enableMonitoring", ifTrue: enableMonitoring)
            return members.json
        }
    }

    /// Where memory is taken from, for set_mempolicy(2) (config-linux.md, "Memory policy").
    public struct MemoryPolicy: SpecObject {
        /// "MPOL_BIND"
        public var mode: String
        /// "0-3,7"
        public var nodes: String
        public var flags: [String]

        public init(mode: String, nodes: String = "", flags: [String] = []) {
            self.mode = mode
            self.nodes = nodes
            self.flags = flags
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            mode = try fields["mode"].string()
            nodes = try fields["nodes"].string(or: "")
            flags = try fields["flags"].strings()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("mode", mode)
            members.put("nodes", ifNotEmpty: nodes)
            members.put("flags", ifNotEmpty: flags)
            return members.json
        }
    }

    /// For personality(2).
    public struct Personality: SpecObject {
        /// The domains and what personality(2) calls them.
        public static let domains: [String: UInt64] = ["LINUX": 0, "LINUX32": 8]

        /// "LINUX" or "LINUX32"
        public var domain: String
        /// None are defined yet.
        public var flags: [String]

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            domain = try fields["domain"].string()
            flags = try fields["flags"].strings()
        }

        public var json: JSONValue {
            var members = Members()
            members.put("domain", domain)
            members.put("flags", ifNotEmpty: flags)
            return members.json
        }
    }
}

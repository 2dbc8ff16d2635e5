import JSON

extension Linux {
    /// A namespace of its own for the container, or one to join (config-linux.md, "Namespaces").
    public struct Namespace: SpecObject {
        public enum Kind: String, CaseIterable, Sendable {
            case pid, network, mount, ipc, uts, user, cgroup, time
        }

        public var type: Kind
        /// Of the namespace to join, on the host; empty: a new one.
        public var path: String

        public init(_ type: Kind, path: String = "") {
            self.type = type
            self.path = path
        }

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            type = try fields["type"].name("namespace")
            path = try fields["path"].string(or: "")
        }

        public var json: JSONValue {
            var members = Members()
            members.put("type", type.rawValue)
            members.put("path", ifNotEmpty: path)
            return members.json
        }
    }

    /// What a clock of the time namespace shows, as against the host's.
    public struct TimeOffset: SpecObject {
        public var secs: Int64
        public var nanosecs: UInt32

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            let fields = try cursor.object()
            secs = try fields["secs"].int(or: 0)
            nanosecs = try fields["nanosecs"].int(or: 0)
        }

        public var json: JSONValue {
            var members = Members()
            members.put("secs", ifNotZero: secs)
            members.put("nanosecs", ifNotZero: nanosecs)
            return members.json
        }
    }

    /// A network device of the host that moves into the container (config-linux.md, "Network Devices").
    public struct NetDevice: SpecObject {
        /// Its name in the container; empty: as on the host.
        public var name: String

        public init(decoding cursor: JSONCursor) throws(JSONFieldError) {
            name = try cursor.object()["name"].string(or: "")
        }

        public var json: JSONValue {
            var members = Members()
            members.put("name", ifNotEmpty: name)
            return members.json
        }
    }
}

extension Linux {
    /// The kinds of namespace that the container has of its own, new or joined.
    public var namespaceKinds: [Namespace.Kind] { namespaces.map { $0.type } }
}

extension JSONCursor {
    /// One of the names of an enumeration: "unknown namespace "foo"" if it is none of them.
    func name<Name: RawRepresentable<String>>(_ what: String) throws(JSONFieldError) -> Name {
        let text = try string()
        guard text.utf8.allSatisfy({ $0 < 0x80 }), let name = Name(rawValue: text) else {
            throw error("unknown \(what) \(JSONText.quoted(text))")
        }
        return name
    }
}

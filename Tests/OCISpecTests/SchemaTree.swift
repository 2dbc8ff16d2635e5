import JSON

/// The schema's fields as a tree, from which configurations are made.
final class SchemaTree: Sendable {
    static let root = SchemaTree("", nil, SchemaField.all)

    /// With the marks of arrays and maps: "mounts[]", "annotations.*".
    let path: String
    let field: SchemaField?
    /// By name, marks included.
    let children: [(name: String, node: SchemaTree)]

    private init(_ path: String, _ field: SchemaField?, _ below: [SchemaField]) {
        self.path = path
        self.field = field
        let prefix = path.isEmpty ? 0 : path.utf8.count + 1
        var names: [String] = []
        var groups: [String: [SchemaField]] = [:]
        for field in below {
            var steps = field.path.dropFirst(prefix).split(separator: ".").map(String.init)
            var name = steps.removeFirst()
            if steps.first == "*" { name += ".*" }
            if groups[name] == nil { names.append(name) }
            groups[name, default: []].append(field)
        }
        children = names.map { name in
            let path = path.isEmpty ? name : "\(path).\(name)"
            let fields = groups[name] ?? []
            return (name, SchemaTree(path, fields.first { $0.path == path }, fields.filter { $0.path != path }))
        }
    }

    /// The key of an object that this is below, without the marks.
    static func key(_ name: String) -> String {
        name.hasSuffix("[]") ? String(name.dropLast(2)) : name.hasSuffix(".*") ? String(name.dropLast(2)) : name
    }

    /// What config.md and config-linux.md call REQUIRED, and the schema doesn't.
    private static let alsoNeeded: Set = [
        "process.args[]", "linux.devices[].major", "linux.devices[].minor", "linux.personality.domain",
        "linux.memoryPolicy.mode",
    ]

    /// Without which no container is valid, or not with the other fields that are chosen.
    private static let alwaysChosen: Set = ["process", "root", "linux", "linux.namespaces[]"]

    private var isNeeded: Bool { field?.isRequired == true || Self.alsoNeeded.contains(path) }

    /// The node of a field.
    static func node(_ path: String) -> SchemaTree {
        var node = root
        while node.path != path,
            let next = node.children.first(where: { path == $0.node.path || path.hasPrefix($0.node.path + ".") })
        {
            node = next.node
        }
        return node
    }

    // MARK: One field

    /// A configuration in which the field at `path` has a value, and beside it only what objects are nothing without.
    static func configuration(_ path: String, _ value: JSONValue) -> JSONValue {
        var configuration = root.leastObject(with: path, value)
        for (key, member) in [("process", ["cwd": "/", "args": ["x"]]), ("root", ["path": "r"])]
            as [(String, JSONValue)]
        where configuration[key] == nil {
            guard case .object(var object) = configuration else { break }
            object[key] = member
            configuration = .object(object)
        }
        return configuration
    }

    private func leastObject(with target: String, _ value: JSONValue) -> JSONValue {
        if path == target { return value }
        guard field?.kind ?? "object" == "object" else { return field.map { Samples.values($0)[0] } ?? nil }
        var object = JSONObject()
        for (name, node) in children {
            let leads = target == node.path || target.hasPrefix(node.path + ".")
            guard leads || node.isNeeded else { continue }
            object[Self.key(name)] = Self.wrap(name, node.path, node.leastObject(with: target, value))
        }
        // Ids are mapped on what comes from the host.
        if target.hasPrefix("\(path).uidMappings[].") || target.hasPrefix("\(path).gidMappings[]."), path == "mounts[]"
        {
            object["type"] = "bind"
        }
        return .object(object)
    }

    private static func wrap(_ name: String, _ path: String, _ value: JSONValue) -> JSONValue {
        if name.hasSuffix("[]") { return [value] }
        guard name.hasSuffix(".*") else { return value }
        return .object(JSONObject([(Samples.key(of: String(path.dropLast(2))), value)]))
    }

    // MARK: All fields

    /// A configuration of fields and values by chance; valid. `used` is told the path of every field in it.
    func random(_ random: inout some RandomNumberGenerator, used: inout Set<String>) -> JSONValue {
        guard let field, field.kind != "object" else { return randomObject(&random, used: &used) }
        used.insert(path)
        return Samples.values(field).randomElement(using: &random) ?? nil
    }

    private func randomObject(_ random: inout some RandomNumberGenerator, used: inout Set<String>) -> JSONValue {
        if !path.isEmpty { used.insert(path) }
        var object = JSONObject()
        for (name, node) in children {
            let key = Self.key(name)
            guard node.isNeeded || Self.alwaysChosen.contains(node.path) || Bool.random(using: &random) else {
                continue
            }
            let place = path.isEmpty ? key : "\(path).\(key)"
            if let whole = Samples.whole[place]?.randomElement(using: &random) {
                object[key] = whole
                node.note(in: whole, used: &used)
            } else if name.hasSuffix("[]") {
                let count = Int.random(in: 1...3, using: &random)
                object[key] = .array((0..<count).map { _ in node.random(&random, used: &used) })
            } else {
                object[key] = Self.wrap(name, node.path, node.random(&random, used: &used))
            }
        }
        if path == "linux" { Self.mapAllOrNothing(&object) }
        return .object(object)
    }

    /// Ids are mapped of users and of groups, and with a new user namespace.
    private static func mapAllOrNothing(_ linux: inout JSONObject) {
        guard let mappings = linux["uidMappings"] ?? linux["gidMappings"],
            case .array(let namespaces)? = linux["namespaces"]
        else { return }
        linux["uidMappings"] = mappings
        linux["gidMappings"] = mappings
        linux["namespaces"] = .array(namespaces + [["type": "user"]])
    }

    /// The fields that a whole value has.
    private func note(in value: JSONValue, used: inout Set<String>) {
        if case .array(let elements) = value {
            for element in elements { note(in: element, used: &used) }
            return
        }
        used.insert(path)
        for (name, node) in children {
            if let member = value[Self.key(name)] { node.note(in: member, used: &used) }
        }
    }
}

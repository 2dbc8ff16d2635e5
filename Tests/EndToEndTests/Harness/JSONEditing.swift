import JSON

extension JSONValue {
    /// What stands at a path such as "process.args.0"; nil when there is nothing.
    func at(_ path: String) -> JSONValue? {
        var value = self
        for step in path.split(separator: ".") {
            if case .array(let elements) = value, let index = Int(step) {
                guard elements.indices.contains(index) else { return nil }
                value = elements[index]
            } else {
                guard let member = value[String(step)] else { return nil }
                value = member
            }
        }
        return value
    }

    /// Puts `new` at a path; objects on the way are made. nil takes a member out.
    mutating func set(_ path: String, _ new: JSONValue?) {
        set(path.split(separator: ".")[...], new)
    }

    private mutating func set(_ path: ArraySlice<Substring>, _ new: JSONValue?) {
        guard let step = path.first else {
            self = new ?? .null
            return
        }
        let rest = path.dropFirst()
        if case .array(var elements) = self, let index = Int(step), elements.indices.contains(index) {
            elements[index].set(rest, new)
            self = .array(elements)
            return
        }
        var object = JSONObject()
        if case .object(let present) = self { object = present }
        if rest.isEmpty {
            object[String(step)] = new
        } else {
            var member = object[String(step)] ?? .object(JSONObject())
            member.set(rest, new)
            object[String(step)] = member
        }
        self = .object(object)
    }

    /// Adds an element to the array at a path, which is made when missing.
    mutating func append(_ path: String, _ element: JSONValue) {
        var elements: [JSONValue] = []
        if case .array(let present)? = at(path) { elements = present }
        set(path, .array(elements + [element]))
    }

    /// Takes elements out of the array at a path.
    mutating func remove(_ path: String, where unwanted: (JSONValue) -> Bool) {
        guard case .array(let elements)? = at(path) else { return }
        set(path, .array(elements.filter { !unwanted($0) }))
    }

    var elements: [JSONValue] {
        guard case .array(let elements) = self else { return [] }
        return elements
    }

    var integer: Int64? {
        guard case .integer(let integer) = self else { return nil }
        return integer
    }

    /// A number, whole or not.
    var double: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .number(let double): double
        default: nil
        }
    }
}

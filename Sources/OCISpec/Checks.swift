import JSON

/// The checks that many fields share. All look at bytes: Swift's characters would hide a '/' or '=' that is followed
/// by a combining mark, and the kernel knows only bytes.
enum Check {
    /// PATH_MAX without its NUL, and NAME_MAX.
    static let pathBytes = 4095
    static let nameBytes = 255

    static func quoted(_ text: String) -> String { JSONText.quoted(text) }

    static func fail(_ path: String, _ message: String) -> SpecError {
        SpecError(path: path, message: message)
    }

    /// A path that the kernel would take: neither empty nor too long, in whole or in one of its names.
    static func path(_ text: String, _ path: String) throws(SpecError) {
        guard !text.isEmpty else { throw fail(path, "must not be empty") }
        guard text.utf8.count <= pathBytes else {
            throw fail(path, "has \(text.utf8.count) bytes, a path has at most \(pathBytes)")
        }
        guard text.utf8.split(separator: UInt8(ascii: "/")).allSatisfy({ $0.count <= nameBytes }) else {
            throw fail(path, "contains a name of more than \(nameBytes) bytes")
        }
    }

    static func absolutePath(_ text: String, _ path: String) throws(SpecError) {
        try Self.path(text, path)
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw fail(path, "must be an absolute path, and is \(JSONText.quoted(text))")
        }
    }

    static func absolutePaths(_ texts: [String], _ path: String) throws(SpecError) {
        for (index, text) in texts.enumerated() {
            try absolutePath(text, "\(path)[\(index)]")
        }
    }

    static func noParentDirectory(_ text: String, _ path: String) throws(SpecError) {
        guard !text.utf8.split(separator: UInt8(ascii: "/")).contains(where: { $0.elementsEqual("..".utf8) }) else {
            throw fail(path, "must not contain \"..\"")
        }
    }

    /// A list of processors or memory nodes: "0-3,7".
    static func numberList(_ text: String, _ path: String) throws(SpecError) {
        let isList = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ","), UInt8(ascii: "-"), UInt8(ascii: " "): true
            default: false
            }
        }
        guard isList else { throw fail(path, "must be a list such as 0-3,7, and is \(JSONText.quoted(text))") }
    }

    /// NAME=VALUE with a name, as runc demands.
    static func environment(_ entries: [String], _ path: String) throws(SpecError) {
        for (index, entry) in entries.enumerated() {
            guard let equals = entry.utf8.firstIndex(of: UInt8(ascii: "=")) else {
                throw fail("\(path)[\(index)]", "has no '='")
            }
            guard equals > entry.utf8.startIndex else {
                throw fail("\(path)[\(index)]", "has no name before the '='")
            }
        }
    }

    /// That no string anywhere has a NUL, at which a system call would cut it.
    static func noNUL(_ value: JSONValue, _ path: JSONPath) throws(SpecError) {
        // The way to it is of interest only when there is one.
        guard !hasNUL(value) else { throw fail(pathOfNUL(in: value, path).description, "contains a NUL byte") }
    }

    private static func hasNUL(_ value: JSONValue) -> Bool {
        switch value {
        case .string(let text): text.utf8.contains(0)
        case .array(let elements): elements.contains(where: hasNUL)
        case .object(let object): object.contains { $0.key.utf8.contains(0) || hasNUL($0.value) }
        case .null, .bool, .integer, .unsigned, .number: false
        }
    }

    private static func pathOfNUL(in value: JSONValue, _ path: JSONPath) -> JSONPath {
        switch value {
        case .array(let elements):
            guard let index = elements.firstIndex(where: hasNUL) else { return path }
            return pathOfNUL(in: elements[index], .index(path, index))
        case .object(let object):
            for member in object {
                if member.key.utf8.contains(0) { return .key(path, member.key) }
                if hasNUL(member.value) { return pathOfNUL(in: member.value, .key(path, member.key)) }
            }
            return path
        case .null, .bool, .integer, .unsigned, .number, .string:
            return path
        }
    }
}

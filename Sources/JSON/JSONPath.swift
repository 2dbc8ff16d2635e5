/// Where a value is in a document: `process.rlimits[2].hard`.
///
/// A linked list, so that going down costs one small object, and the text is made only for an error.
public indirect enum JSONPath: Equatable, Sendable {
    /// The document, or the part of it that is being read ("" or "process").
    case root(String)
    case key(JSONPath, String)
    case index(JSONPath, Int)
}

extension JSONPath: CustomStringConvertible {
    public var description: String {
        var parts: [String] = []
        var path = self
        while true {
            switch path {
            case .root(let name):
                parts.append(name)
                let text = parts.reversed().joined()
                return text.utf8.first == UInt8(ascii: ".") ? String(text.dropFirst()) : text
            case .key(let parent, let key):
                parts.append(Self.isPlain(key) ? ".\(key)" : "[\(JSONText.quoted(key))]")
                path = parent
            case .index(let parent, let index):
                parts.append("[\(index)]")
                path = parent
            }
        }
    }

    private static func isPlain(_ key: String) -> Bool {
        !key.isEmpty && key.utf8.count <= 64
            && key.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// A value that is not what it should be.
public struct JSONFieldError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where: `process.args[1]`, or "" for the document itself.
    public let path: String
    /// What is wrong: "expected a string, found a number", "is missing".
    public let message: String

    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }

    public var description: String {
        path.isEmpty ? message : "\(path): \(message)"
    }
}

import JSON

/// What is wrong with a configuration, and where. The one error of this room.
public struct SpecError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The field: `process.rlimits[2].type`. Empty for the document as a whole.
    public let path: String
    /// What is wrong with it: "must be an absolute path".
    public let message: String

    public init(path: String, message: String) {
        self.path = path
        self.message = message
    }

    init(_ error: JSONFieldError) {
        self.init(path: error.path, message: error.message)
    }

    /// One line for a person.
    public var description: String {
        path.isEmpty ? message : "\(path): \(message)"
    }
}

import JSON

/// One thing that was looked for on this machine.
public struct CheckItem: Equatable, Sendable {
    public enum Status: String, Sendable {
        case ok
        /// It is not there.
        case missing
        /// It is there, and of no use.
        case unfit
        /// Neither good nor bad.
        case note
    }

    public let name: String
    public let status: Status
    /// What was found, for a person.
    public let detail: String
    /// What to do about it; nil when there is nothing to do.
    public let advice: String?
    /// No container runs without it.
    public let required: Bool

    public init(_ name: String, _ status: Status, _ detail: String, advice: String? = nil, required: Bool = false) {
        self.name = name
        self.status = status
        self.detail = detail
        self.advice = advice
        self.required = required
    }

    /// Nothing here keeps a container from running.
    public var allowsRunning: Bool { !required || status == .ok || status == .note }

    func json() -> JSONValue {
        [
            "name": .string(name),
            "status": .string(status.rawValue),
            "detail": .string(detail),
            "advice": advice.map { .string($0) } ?? .null,
            "required": .bool(required),
        ]
    }
}

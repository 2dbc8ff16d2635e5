/// The one error that a person sees: what failed, on what, why, and what to do, in one line.
public struct RuntimeError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    /// The exit code of the command.
    public let exitCode: Int32
    /// The guest's last words, where the guest is at fault; shown below the line.
    public var console: [String] = []

    public init(_ description: String, exitCode: Int32 = 1) {
        // Errors carry text from files and from the guest; a line must stay one line.
        self.description = PrintableText.line(description)
        self.exitCode = exitCode
    }
}

import JSON
import LinuxSys

/// What QEMU says over its control socket (QMP), as far as it matters here.
public enum QMPMessage: Equatable, Sendable {
    case greeting
    case reply
    case error(String)
    /// The guest ended the machine; `reason` is QEMU's word ("guest-reset", "guest-panic", "host-qmp-quit").
    case shutdown(reason: String)
    case otherEvent(String)
}

/// Splits QMP's bytes into messages: one JSON object a line. QEMU is trusted no more than the guest that it runs.
public struct QMPDecoder: Sendable {
    private var line: [UInt8] = []
    static let longestLine = 1 << 20

    public init() {}

    /// - Throws: `VMProtocolError` when a line is no QMP message; the stream is then of no use any more.
    public mutating func decode(_ bytes: [UInt8]) throws(QMPError) -> [QMPMessage] {
        var messages: [QMPMessage] = []
        for byte in bytes {
            if byte != UInt8(ascii: "\n") {
                line.append(byte)
                guard line.count <= Self.longestLine else { throw QMPError(description: "a line is too long") }
                continue
            }
            while line.last == UInt8(ascii: "\r") { line.removeLast() }
            if !line.isEmpty { messages.append(try Self.message(line)) }
            line.removeAll(keepingCapacity: true)
        }
        return messages
    }

    private static func message(_ line: [UInt8]) throws(QMPError) -> QMPMessage {
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue.parse(line) } catch {
            throw QMPError(description: "not JSON: \(error)")
        }
        if value["QMP"] != nil { return .greeting }
        if value["return"] != nil { return .reply }
        if let error = value["error"] { return .error(error["desc"]?.string ?? "unknown error") }
        guard let event = value["event"]?.string else { throw QMPError(description: "neither a reply nor an event") }
        if event == "SHUTDOWN" { return .shutdown(reason: value["data"]?["reason"]?.string ?? "unknown") }
        return .otherEvent(event)
    }
}

public struct QMPError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
}

/// QMP commands.
public enum QMPCommand: String, Sendable {
    case enable = "qmp_capabilities"
    case quit

    public var bytes: [UInt8] { JSONValue.object(["execute": .string(rawValue)]).bytes() + [UInt8(ascii: "\n")] }
}

/// Strings of unknown origin, made fit for a JSON text or for a person's terminal.
public enum JSONText {
    /// The text in quotes and on one line, for a message. Control characters are escaped; what is longer than
    /// `limit` scalars is cut, because the text may be an enemy's, and the message may go to a log.
    public static func quoted(_ text: String, limit: Int = 80) -> String {
        var head = String.UnicodeScalarView()
        var rest = text.unicodeScalars[...]
        while head.count < limit, let scalar = rest.popFirst() {
            head.append(scalar)
        }
        var output: [UInt8] = []
        escape(String(head), into: &output, forTerminal: true)
        return "\"\(String(decoding: output, as: UTF8.self))\(rest.isEmpty ? "" : "…")\""
    }

    /// Appends the text with the escapes that JSON demands. For a terminal, DEL and the C1 controls, the line and
    /// paragraph separators and the marks that turn the direction of writing are escaped too.
    static func escape(_ text: String, into output: inout [UInt8], forTerminal: Bool = false) {
        guard forTerminal else {
            for byte in text.utf8 {
                byte < 0x20 || byte == 0x22 || byte == 0x5C ? escape(UInt32(byte), into: &output) : output.append(byte)
            }
            return
        }
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case ..<0x20, 0x22, 0x5C, 0x7F...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069:
                escape(scalar.value, into: &output)
            default:
                output.append(contentsOf: Array(String(scalar).utf8))
            }
        }
    }

    private static func escape(_ value: UInt32, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "\\"))
        switch value {
        case 0x22, 0x5C: output.append(UInt8(truncatingIfNeeded: value))
        case 0x08: output.append(UInt8(ascii: "b"))
        case 0x09: output.append(UInt8(ascii: "t"))
        case 0x0A: output.append(UInt8(ascii: "n"))
        case 0x0C: output.append(UInt8(ascii: "f"))
        case 0x0D: output.append(UInt8(ascii: "r"))
        default:
            let digits = String(value, radix: 16)
            output.append(contentsOf: "u\(String(repeating: "0", count: max(0, 4 - digits.utf8.count)))\(digits)".utf8)
        }
    }
}

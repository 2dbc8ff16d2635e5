/// Text from files and from the guest, made fit for a person's terminal and for a log.
enum PrintableText {
    /// One line: newlines and tabs are spaces; control characters (C0, DEL, and C1, which a terminal obeys too) and the
    /// marks that turn the direction of writing are taken out.
    static func line(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.split(whereSeparator: \.isNewline).joined(separator: " ").unicodeScalars {
            switch scalar.value {
            case 0x09: scalars.append(" ")
            case ..<0x20, 0x7F...0x9F, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: break
            default: scalars.append(scalar)
            }
        }
        return String(scalars)
    }
}

/// Lists in which a backslash makes a part's own of the character behind it, as in the options of overlayfs.
public enum EscapedText {
    /// The parts, with their backslashes.
    public static func split(_ text: String, at separator: Character) -> [String] {
        var parts = [""]
        var isEscaped = false
        for character in text {
            if character == separator, !isEscaped {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
            isEscaped = character == "\\" && !isEscaped
        }
        return parts
    }

    /// What a part stands for.
    public static func plain(_ part: String) -> String {
        var result = ""
        var isEscaped = false
        for character in part {
            isEscaped = character == "\\" && !isEscaped
            if !isEscaped { result.append(character) }
        }
        return result
    }
}

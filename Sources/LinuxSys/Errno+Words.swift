extension Errno {
    /// As Go has it, and so runc: the kernel's words in small letters.
    public var words: String {
        let text = description
        guard let first = text.first, text.utf8.dropFirst().first.map({ $0 < 0x41 || $0 > 0x5a }) ?? true else {
            return text
        }
        return first.lowercased() + text.dropFirst()
    }
}

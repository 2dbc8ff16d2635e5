/// The last lines of the guest's console, or those about its kernel's panic. The guest writes what it likes: control
/// characters are taken out, and only so much is kept.
struct ConsoleTail {
    static let keptLines = 64
    static let shownLines = 12
    static let longestLine = 200

    /// Called with every line that is complete.
    var follower: ((String) -> Void)?
    private var lines: [String] = []
    private var current: [UInt8] = []

    mutating func append(_ bytes: [UInt8]) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                finishLine()
            } else if current.count < Self.longestLine, byte >= 32, byte != 127 {
                current.append(byte)
            }
        }
    }

    private mutating func finishLine() {
        let line = PrintableText.line(String(decoding: current, as: UTF8.self))
        current.removeAll(keepingCapacity: true)
        guard !line.isEmpty else { return }
        follower?(line)
        lines.append(line)
        if lines.count > Self.keptLines { lines.removeFirst() }
    }

    var last: [String] {
        var tail = self
        tail.follower = nil
        tail.finishLine()
        // Behind the kernel's last words comes a trace that is longer than what is shown.
        if let panic = tail.lines.lastIndex(where: { $0.contains("Kernel panic") }) {
            return Array(tail.lines[max(0, panic - 3)...].prefix(Self.shownLines))
        }
        return tail.lines.suffix(Self.shownLines)
    }
}

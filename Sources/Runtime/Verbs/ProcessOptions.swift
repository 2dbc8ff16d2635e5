/// What the options of ps(1) ask for. A guest has no ps to hand them to, and all processes of the container are always
/// shown: what chooses among processes is taken, and without effect.
struct ProcessOptions {
    private(set) var columns: [ProcessColumn] = []
    private(set) var hasHeader = true

    /// Without options as runc's `ps`: `-ef`.
    init(_ options: [String]) throws(RuntimeError) {
        var format = options.isEmpty ? Self.full : Self.simple
        var rest = options[...]
        while let word = rest.popFirst() {
            switch word {
            case "--": break
            case "--no-headers", "--no-header", "--no-headings", "--no-heading": hasHeader = false
            case "--format": try add(rest.popFirst(), of: word)
            case _ where word.hasPrefix("--format="): try add(String(word.dropFirst(9)), of: word)
            // With UNIX's dash it is BSD's all the same.
            case "-aux": format = Self.user
            case _ where word.hasPrefix("-") && !word.hasPrefix("--") && word.count > 1:
                try take(word.dropFirst(), of: word, harmless: "eAadxw", formats: ["f": Self.full], &format, &rest)
            case _ where !word.hasPrefix("-"):
                if format == Self.simple { format = Self.bsd }
                try take(word[...], of: word, harmless: "axw", formats: ["u": Self.user], &format, &rest)
            default: throw Self.unsupported(word)
            }
        }
        if columns.isEmpty { try add(format, of: "") }
        hasHeader = hasHeader && columns.contains { !$0.title.isEmpty }
    }

    private static let full = "user=UID pid ppid c stime tname time cmd"
    private static let simple = "pid tname time ucmd"
    private static let bsd = "pid tname stat bsdtime command"
    private static let user = "user pid pcpu pmem vsz rss tname stat start_time bsdtime command"

    /// A word of letters, of which `o` takes a list with it.
    private mutating func take(
        _ letters: Substring, of word: String, harmless: String, formats: [Character: String],
        _ format: inout String, _ rest: inout ArraySlice<String>
    ) throws(RuntimeError) {
        for (index, letter) in zip(letters.indices, letters) {
            if letter == "o" {
                let list = letters[letters.index(after: index)...]
                return try add(list.isEmpty ? rest.popFirst() : String(list), of: word)
            }
            if let chosen = formats[letter] {
                format = chosen
            } else if !harmless.contains(letter) {
                throw Self.unsupported(word)
            }
        }
    }

    /// Columns with commas or spaces between them. A title behind a `=` goes to the end of the argument.
    private mutating func add(_ list: String?, of option: String) throws(RuntimeError) {
        guard let list, !list.isEmpty else { throw RuntimeError("ps: \(option) needs a list of columns") }
        // Our own formats have a title in the middle.
        let isOwn = option.isEmpty
        var rest = list[...]
        while !rest.isEmpty {
            let word = rest.prefix { $0 != "," && $0 != " " }
            rest = rest[word.endIndex...]
            let name = word.prefix { $0 != "=" }
            var title: Substring?
            if name.endIndex < word.endIndex {
                let start = word.index(after: name.endIndex)
                title = isOwn ? word[start...] : list[start...]
                if !isOwn { rest = "" }
            }
            rest = rest.drop { $0 == "," || $0 == " " }
            guard var column = ProcessColumn.named(name) else {
                throw RuntimeError("ps: column \(name) is not supported (\(ProcessColumn.names) are)")
            }
            if let title { column.title = String(title) }
            columns.append(column)
        }
    }

    private static func unsupported(_ word: String) -> RuntimeError {
        RuntimeError("ps: option \(word) is not supported (-e, -f, aux, -o LIST and --no-headers are)")
    }
}

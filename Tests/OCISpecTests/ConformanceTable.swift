import Foundation
import Testing

/// docs/spec-conformance.md, read.
struct ConformanceTable {
    enum Verdict: String, CaseIterable {
        case supported, refused
        case refusedIf = "refused if"
        /// An object that is no more than its fields.
        case section
        /// Of another platform.
        case ignored
    }

    struct Row {
        let path: String
        let verdict: Verdict
        /// Suite/function; empty: none.
        let test: String
    }

    let rows: [Row]

    static let current = Result { try ConformanceTable() }

    static let root = String(#filePath.dropLast("Tests/OCISpecTests/ConformanceTable.swift".count))

    private init() throws {
        let text = try String(contentsOfFile: Self.root + "docs/spec-conformance.md", encoding: .utf8)
        rows = try text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                .map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(cells.count == 4, "a row has four cells: \(line)")
            // "refused if" goes on: if what.
            let verdict = cells[1].hasPrefix("refused if ") ? .refusedIf : Verdict(rawValue: cells[1])
            return Row(
                path: String(cells[0].dropFirst().dropLast()), verdict: try #require(verdict, "no verdict: \(line)"),
                test: String(cells[3].filter { $0 != "`" }))
        }
    }

    func rows(_ verdicts: Verdict...) -> [Row] { rows.filter { verdicts.contains($0.verdict) } }
}

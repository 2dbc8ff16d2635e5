import Testing

/// What a script in a container told, as lines of `name=value`. A name that occurs again adds a line to its value.
struct Facts {
    private var values: [String: String] = [:]
    let outcome: Outcome

    init(_ outcome: Outcome) {
        self.outcome = outcome
        for line in outcome.lines {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let name = String(line[..<equals])
            let value = String(line[line.index(after: equals)...])
            values[name] = values[name].map { $0 + "\n" + value } ?? value
        }
    }

    subscript(name: String) -> String? { values[name] }
}

/// What a fact must be.
struct Expectation: CustomTestStringConvertible, Sendable {
    let fact: String
    let value: String
    let testDescription: String

    init(_ fact: String, _ value: String, _ why: String = "") {
        self.fact = fact
        self.value = value
        testDescription = why.isEmpty ? "\(fact)=\(value)" : "\(fact)=\(value) (\(why))"
    }
}

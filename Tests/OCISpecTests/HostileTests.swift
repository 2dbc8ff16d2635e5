import JSON
import OCISpec
import Testing

@Suite("OCI spec: hostile configurations")
struct HostileTests {
    /// Things to put where something else is expected.
    static let poison: [JSONValue] = [
        nil, true, 0, -1, .integer(.min), .integer(.max), .unsigned(.max), .number(1.5), .number(1e308), "", "x",
        "\u{0}", "/", "../..", .string(String(repeating: "/a", count: 2100)), [], [nil], [[]], ["x"], [:], ["x": nil],
        ["type": "pid"], ["path": "/x"], [["path": "/x"]],
    ]

    @Test("any value replaced by any other: refused with a path, or decoded, encoded and decoded to the same")
    func replaced() throws {
        var random = SeededGenerator(state: 4)
        for text in [Fixture.podman, Fixture.everything] {
            let document = try JSONValue.parse(text)
            let count = size(document)
            for place in 0..<count {
                for poison in Self.poison.shuffled(using: &random).prefix(4) {
                    var left = place
                    check(replacing(document, &left, with: poison))
                }
            }
        }
    }

    @Test("several values swapped about")
    func swapped() throws {
        let document = try JSONValue.parse(Fixture.everything)
        let values = all(document)
        var random = SeededGenerator(state: 3)
        for _ in 0..<500 {
            var mutant = document
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                var left = Int.random(in: 1..<values.count, using: &random)
                mutant = replacing(mutant, &left, with: values.randomElement(using: &random) ?? nil)
            }
            check(mutant)
        }
    }

    private func check(_ value: JSONValue) {
        do {
            let spec = try Spec(json: value)
            let again = try Spec(json: spec.json)
            #expect(again == spec)
            _ = spec.refusals()
            try spec.validate()
        } catch {
            #expect(!error.message.isEmpty)
            // Only the document itself has no path.
            if case .object = value { #expect(!error.path.isEmpty) }
            #expect(error.description.unicodeScalars.allSatisfy { $0.value >= 0x20 })
        }
    }

    private func size(_ value: JSONValue) -> Int { all(value).count }

    private func all(_ value: JSONValue) -> [JSONValue] {
        switch value {
        case .array(let elements): [value] + elements.flatMap(all)
        case .object(let object): [value] + object.members.flatMap { all($0.value) }
        default: [value]
        }
    }

    /// The value with its `left`-th part replaced, counted from the outside in.
    private func replacing(_ value: JSONValue, _ left: inout Int, with poison: JSONValue) -> JSONValue {
        left -= 1
        if left == -1 { return poison }
        guard left >= 0 else { return value }
        switch value {
        case .array(let elements):
            var result: [JSONValue] = []
            for element in elements { result.append(replacing(element, &left, with: poison)) }
            return .array(result)
        case .object(let object):
            var result = JSONObject()
            for member in object { result[member.key] = replacing(member.value, &left, with: poison) }
            return .object(result)
        default:
            return value
        }
    }
}

import Foundation
import JSON
import OCISpec
import Testing

/// docs/spec-conformance.md against the specification's schema, and against what is done.
@Suite("OCI spec: the table of what is supported")
struct ConformanceTests {
    private let table: ConformanceTable
    private let fields: [String: SchemaField]

    init() throws {
        table = try ConformanceTable.current.get()
        fields = Dictionary(uniqueKeysWithValues: SchemaField.all.map { ($0.path, $0) })
    }

    /// A value for each place where "refused if" begins to hold.
    private static let refused: [String: [JSONValue]] = [
        "process.apparmorProfile": ["docker-default"],
        "linux.seccomp.defaultAction": ["SCMP_ACT_NOTIFY"],
        "linux.seccomp.flags[]": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        "linux.seccomp.architectures[]": [
            "SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB",
        ],
        "linux.seccomp.syscalls[].action": ["SCMP_ACT_NOTIFY"],
        "linux.resources.memory.kernel": [1, -2],
        "linux.resources.memory.kernelTCP": [1],
        "linux.memoryPolicy.mode": ["MPOL_WEIGHTED_INTERLEAVE"],
        "linux.memoryPolicy.nodes": ["1", "0-1", "63", "0,2"],
        "vm.image.format": ["qcow2", "vdi", "vmdk", "vhd"],
        "mounts[].type": ["nfs", "ext4", "devtmpfs"],
        "mounts[].options[]": ["idmap", "tmpcopyup"],
        "mounts[].uidMappings[]": [["containerID": 0, "hostID": 1, "size": 1]],
        "mounts[].gidMappings[]": [["containerID": 0, "hostID": 1, "size": 1]],
    ]

    @Test("every field of the schema is a row, and every row a field")
    func complete() {
        let rows = table.rows.map(\.path)
        #expect(Set(rows).count == rows.count, "twice: \(rows.filter { path in rows.count { $0 == path } > 1 })")
        #expect(Set(fields.keys).subtracting(rows).sorted() == [], "these are missing in the table")
        #expect(Set(rows).subtracting(fields.keys).sorted() == [], "these are not in the schema")
    }

    @Test("what is refused is refused by name, whatever it says")
    func refusedFields() throws {
        for row in table.rows(.refused) {
            let field = try #require(fields[row.path])
            for value in values(field) {
                expectRefusal(SchemaTree.configuration(row.path, value), field)
            }
        }
    }

    @Test("what is refused if it says some things, is then refused by name")
    func partlyRefusedFields() throws {
        let rows = table.rows(.refusedIf)
        #expect(Set(rows.map(\.path)) == Set(Self.refused.keys))
        for row in rows {
            let field = try #require(fields[row.path])
            for value in Self.refused[row.path] ?? [] {
                expectRefusal(SchemaTree.configuration(row.path, value), field)
            }
        }
    }

    @Test("what is supported is neither refused nor dropped when it is read and written")
    func supportedFields() throws {
        for row in table.rows(.supported, .refusedIf) {
            let field = try #require(fields[row.path])
            for value in values(field) where !(row.verdict == .refusedIf && field.kind == "object") {
                let document = SchemaTree.configuration(row.path, value)
                let spec = try Spec(json: document)
                let kept = Self.value(in: spec.json, at: row.path)
                #expect(kept == value, "\(row.path)")
                #expect(!spec.refusals().contains { Self.isAbout($0.path, field) }, "\(row.path): \(spec.refusals())")
            }
        }
    }

    @Test("sections of other platforms say nothing here, right or wrong")
    func otherPlatforms() throws {
        let rows = table.rows(.ignored)
        #expect(rows.map(\.path).contains("windows"))
        for row in rows {
            let field = try #require(fields[row.path])
            let nonsense: JSONValue = ["vmconfig": 5, "layerFolders": ["x"], "": nil]
            for value in field.kind == "object" ? [nonsense, 5, []] : values(field) {
                let document = SchemaTree.configuration(row.path, value)
                let spec = try Spec(json: document)
                try spec.validate()
                #expect(spec.refusals() == [], "\(row.path)")
            }
        }
    }

    @Test("what no specification knows is ignored, as config.md asks for")
    func unknownFields() throws {
        for path in ["", "process", "root", "linux", "linux.resources"] {
            let document = SchemaTree.configuration(path.isEmpty ? "x-new" : "\(path).x-new", ["deep": [1]])
            let spec = try Spec(json: document)
            try spec.validate()
            #expect(spec.refusals() == [])
        }
    }

    @Test("each row that does something names a test, and there is one of that name")
    func tests() throws {
        var names: Set<String> = []
        let folder = ConformanceTable.root + "Tests"
        let files = try #require(FileManager.default.enumerator(atPath: folder))
        for case let file as String in files where file.hasSuffix("Tests.swift") {
            var suite: Substring = ""
            for line in try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8).split(separator: "\n") {
                let words = line.split { $0 == " " || $0 == "(" }
                guard let place = words.firstIndex(where: { $0 == "func" || $0 == "struct" }), place + 1 < words.count
                else { continue }
                if words[place] == "func" {
                    names.insert("\(suite)/\(words[place + 1])")
                } else if place == 0 && line.first != " " || line.contains("@Suite") {
                    suite = words[place + 1]
                }
            }
        }
        for row in table.rows {
            let needsOne = row.verdict == .supported || row.verdict == .refusedIf
            if needsOne || !row.test.isEmpty, !names.contains(row.test) {
                Issue.record("\(row.path): there is no test \(row.test)")
            }
        }
    }

    // MARK: Helpers

    /// Plausible values; for an object one in which every field has one.
    private func values(_ field: SchemaField) -> [JSONValue] {
        guard field.kind == "object" else { return Samples.values(field) }
        var random = SeededGenerator(state: 1)
        var used: Set<String> = []
        return (0..<20).map { _ in SchemaTree.node(field.path).random(&random, used: &used) }.filter { $0 != [:] }
    }

    private func expectRefusal(_ document: JSONValue, _ field: SchemaField) {
        do throws(SpecError) {
            let spec = try Spec(json: document)
            let refusals = spec.refusals().map(\.path)
            if refusals.contains(where: { Self.isAbout($0, field) }) { return }
            try spec.validate()
            Issue.record("\(field.path) was taken: \(document.text())")
        } catch {
            #expect(Self.isAbout(error.path, field), "\(field.path): \(error)")
        }
    }

    /// Whether a path of an error is the field, a part of it, or what it is a part of.
    private static func isAbout(_ path: String, _ field: SchemaField) -> Bool {
        let own = field.concretePath
        func isBelow(_ below: String, _ above: String) -> Bool {
            below == above || below.hasPrefix(above + ".") || below.hasPrefix(above + "[")
        }
        return isBelow(path, own) || isBelow(own, path)
    }

    /// What stands at a path of the schema's form, in a configuration that has one of each.
    private static func value(in document: JSONValue, at path: String) -> JSONValue? {
        var value: JSONValue? = document
        for step in path.split(separator: ".") {
            if step == "*" {
                guard case .object(let object)? = value else { return nil }
                value = object.members.first?.value
            } else {
                value = value?[SchemaTree.key(String(step))]
                if step.hasSuffix("[]"), case .array(let elements)? = value { value = elements.first }
            }
        }
        return value
    }
}

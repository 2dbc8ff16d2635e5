import Foundation
import JSON
import JailCompiler
import OCISpec
import Testing

/// The profiles that clients use, compiled by us and by a program of a few lines on libseccomp (seccomp-filter.py).
@Suite struct SeccompProfileTests {
    private static let python = "/usr/bin/python3"
    private static let tests = String(#filePath.dropLast("JailCompilerTests/SeccompProfileTests.swift".count))
    /// containers-common's, which podman, buildah and CRI-O read.
    private static let podman = "/usr/share/containers/seccomp.json"

    @Test(
        "podman's default profile, byte by byte",
        arguments: [[], ["CAP_SYS_ADMIN", "CAP_AUDIT_WRITE", "CAP_SYS_CHROOT"]])
    func podman(capabilities: [String]) throws {
        guard FileManager.default.fileExists(atPath: Self.podman) else {
            try Test.cancel("\(Self.podman) is not there (Debian: golang-github-containers-common)")
        }
        let file = try JSONValue.parse([UInt8](Data(contentsOf: URL(fileURLWithPath: Self.podman))))
        let profile = try Self.selected(file, capabilities)
        let size = try expectTheSame(profile)
        #expect(size > 200, "a profile of some hundred calls")
    }

    @Test("all actions, operators and conditions")
    func made() throws {
        var rules: [JSONValue] = []
        let calls = [
            "read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "clone", "socket",
        ]
        let actions = ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "LOG"].map { "SCMP_ACT_" + $0 }
        let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map { "SCMP_CMP_" + $0 }
        for (number, call) in calls.enumerated() {
            let arguments = (0..<number % 3).map { index -> JSONValue in
                [
                    "index": .integer(Int64(number % 2 == 0 ? index : 1)),
                    "value": .unsigned(UInt64.max - UInt64(number)),
                    "valueTwo": .integer(Int64(number)), "op": .string(operators[(number + index) % operators.count]),
                ]
            }
            rules.append([
                "names": [.string(call), "no_such_call"], "action": .string(actions[number % actions.count]),
                "errnoRet": .integer(Int64(number)), "args": .array(arguments),
            ])
        }
        for architectures in [["X86_64"], ["X86_64", "X86", "X32"], ["AARCH64", "RISCV64"], []] {
            _ = try expectTheSame([
                "defaultAction": "SCMP_ACT_ALLOW", "syscalls": .array(rules),
                "architectures": JSONValue(architectures.map { "SCMP_ARCH_" + $0 }),
            ])
        }
    }

    /// How many instructions they both have.
    private func expectTheSame(_ profile: JSONValue, sourceLocation: SourceLocation = #_sourceLocation) throws -> Int {
        let ours = try #require(try SeccompFilter(try Linux.Seccomp(json: profile)))
        let theirs = try Self.independently(profile)
        // What stands before it is about calls that the profile does not know (SeccompTests).
        #expect(Array(ours.program.suffix(theirs.count)) == theirs, sourceLocation: sourceLocation)
        #expect(ours.program.count - theirs.count <= 12 * 8, sourceLocation: sourceLocation)
        return theirs.count / 8
    }

    private static func independently(_ profile: JSONValue) throws -> [UInt8] {
        guard FileManager.default.isExecutableFile(atPath: python) else {
            try Test.cancel("\(python) is not installed")
        }
        let process = Foundation.Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = [tests + "Programs/seccomp-filter.py"]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(profile.bytes()))
        try input.fileHandleForWriting.close()
        let program = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return [UInt8](program)
    }

    /// What containers/common makes of its profile on an x86-64: its architectures, and the rules that these capabilities
    /// select.
    private static func selected(_ file: JSONValue, _ capabilities: [String]) throws -> JSONValue {
        func words(_ value: JSONValue?, _ key: String) -> [String] {
            guard case .array(let elements)? = value?[key] else { return [] }
            return elements.compactMap(\.string)
        }
        func elements(_ key: String) -> [JSONValue] {
            guard case .array(let elements)? = file[key] else { return [] }
            return elements
        }
        let map = try #require(elements("archMap").first { $0["architecture"] == "SCMP_ARCH_X86_64" })
        let rules = elements("syscalls").filter { rule in
            let (includes, excludes) = (rule["includes"], rule["excludes"])
            return (words(includes, "arches").isEmpty || words(includes, "arches").contains("amd64"))
                && !words(excludes, "arches").contains("amd64")
                && words(includes, "caps").allSatisfy(capabilities.contains)
                && !words(excludes, "caps").contains(where: capabilities.contains)
        }
        var profile = JSONObject()
        profile["defaultAction"] = file["defaultAction"]
        profile["defaultErrnoRet"] = file["defaultErrnoRet"]
        profile["architectures"] = JSONValue(["SCMP_ARCH_X86_64"] + words(map, "subArchitectures"))
        profile["syscalls"] = .array(rules)
        return .object(profile)
    }
}

import AgentProtocol
import JailCompiler
import OCISpec
import Testing

@testable import Jail

/// The host's plans as the guest reads them, and bytes that are none.
@Suite struct FlatPlanTests {
    private func encoded() throws -> [UInt8] {
        var spec = Spec(
            ociVersion: "1.0.2", process: Process(args: ["sh", "-c", ""]), root: Root(path: "rootfs"), linux: Linux())
        spec.hostname = "h"
        spec.process?.env = ["A=b"]
        spec.process?.user.additionalGids = [1, 2]
        spec.process?.user.umask = 0o22
        spec.process?.rlimits = [.init(type: "RLIMIT_NOFILE", hard: 2, soft: 1)]
        spec.linux?.memoryPolicy = .init(mode: "MPOL_BIND", nodes: "0")
        spec.mounts = [Mount(destination: "/proc", type: "proc", source: "proc", options: ["nosuid"])]
        return try JailPlan(spec, in: JailPlace(rootfs: "r")).encoded
    }

    private func refusal(_ bytes: [UInt8]) -> WireError? {
        do throws(WireError) {
            _ = try FlatPlan(bytes, share: "/s", root: "/r")
            return nil
        } catch {
            return error
        }
    }

    @Test func whole() throws { #expect(refusal(try encoded()) == nil) }

    @Test func cutShort() throws {
        let bytes = try encoded()
        for length in 0..<bytes.count { #expect(refusal(Array(bytes.prefix(length))) == .truncated, "\(length) bytes") }
        #expect(refusal(bytes + [0]) == .trailingBytes(1))
    }

    @Test("a text without its zero, or with another inside, is refused")
    func zeroes() throws {
        // namespaces, then the rootfs: "r" with its length before and its zero behind.
        var bytes = try encoded()
        #expect(Array(bytes[8..<14]) == [1, 0, 0, 0, 0x72, 0])
        bytes[13] = 1
        #expect(refusal(bytes) == .badText(field: "rootfs"))
        bytes[13] = 0
        bytes[12] = 0
        #expect(refusal(bytes) == .badText(field: "rootfs"))
    }

    @Test("changed bytes are refused or are a plan, and never trap")
    func mutated() throws {
        let original = try encoded()
        var plans = 0
        for place in original.indices {
            for byte: UInt8 in [0, 1, 2, 127, 128, 255] {
                var bytes = original
                bytes[place] = byte
                if refusal(bytes) == nil { plans += 1 }
            }
        }
        // Else the test looks at nothing.
        #expect(plans > 100)
    }
}

import AgentProtocol
import OCISpec
import Testing

@testable import JailCompiler

@Suite struct CgroupSettingsTests {
    private func settings(_ change: (inout Linux.Resources) -> Void) throws -> [String: String] {
        var resources = Linux.Resources()
        change(&resources)
        return Dictionary(
            try CgroupSettings.of(resources).map { ($0.file, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    private func memory(limit: Int64? = nil, reservation: Int64? = nil, swap: Int64? = nil) throws -> [String: String] {
        try settings {
            var memory = Linux.Resources.Memory()
            memory.limit = limit
            memory.reservation = reservation
            memory.swap = swap
            $0.memory = memory
        }
    }

    @Test func nothingAskedForIsNothingWritten() throws {
        #expect(try settings { _ in }.isEmpty)
        #expect(try memory().isEmpty)
        #expect(try memory(limit: 0, reservation: 0, swap: 0).isEmpty)
    }

    @Test func memory() throws {
        #expect(try memory(limit: 1 << 20) == ["memory.max": "1048576"])
        #expect(try memory(reservation: 4096) == ["memory.low": "4096"])
        #expect(try memory(limit: 100, swap: 150) == ["memory.max": "100", "memory.swap.max": "50"])
        #expect(try memory(limit: 100, swap: 100) == ["memory.max": "100", "memory.swap.max": "0"])
        #expect(try memory(limit: 100, swap: -1) == ["memory.max": "100", "memory.swap.max": "max"])
        #expect(try memory(limit: -1) == ["memory.max": "max", "memory.swap.max": "max"])
    }

    @Test func swapWithoutMemoryIsRefused() {
        #expect(throws: SpecError.self) { try memory(swap: 100) }
        #expect(throws: SpecError.self) { try memory(limit: 200, swap: 100) }
    }

    static let weights: [(UInt64, UInt64)] = [
        (2, 1), (1024, 39), (512, 20), (262_144, 10000), (1, 1), (.max, 10000),
    ]

    @Test(arguments: weights)
    func weightOfShares(_ shares: UInt64, _ weight: UInt64) {
        #expect(CgroupSettings.weight(shares: shares) == weight)
    }

    @Test func noSharesNoWeight() { #expect(CgroupSettings.weight(shares: 0) == nil) }

    @Test func cpu() throws {
        func cpu(quota: Int64? = nil, period: UInt64? = nil, cpus: String = "") throws -> [String: String] {
            try settings {
                var cpu = Linux.Resources.CPU()
                cpu.quota = quota
                cpu.period = period
                cpu.cpus = cpus
                $0.cpu = cpu
            }
        }
        #expect(try cpu(quota: 50000, period: 200_000) == ["cpu.max": "50000 200000"])
        #expect(try cpu(quota: 50000) == ["cpu.max": "50000 100000"])
        #expect(try cpu(quota: -1, period: 1000) == ["cpu.max": "max 1000"])
        #expect(try cpu(cpus: "0-1") == ["cpuset.cpus": "0-1"])
    }

    @Test func pids() throws {
        #expect(try settings { $0.pids = .init(limit: 7) } == ["pids.max": "7"])
        #expect(try settings { $0.pids = .init(limit: -1) } == ["pids.max": "max"])
        #expect(try settings { $0.pids = .init(limit: 0) } == ["pids.max": "1"])
        #expect(try settings { $0.pids = .init() }.isEmpty)
    }

    @Test func unifiedComesLastAndStaysInItsGroup() throws {
        var resources = Linux.Resources()
        resources.pids = .init(limit: 7)
        resources.unified = ["pids.max": "9", "memory.high": "1000"]
        let written = try CgroupSettings.of(resources)
        #expect(written.last == CgroupSetting("pids.max", "9"))
        #expect(throws: SpecError.self) { try settings { $0.unified = ["../memory.max": "1"] } }
        #expect(throws: SpecError.self) { try settings { $0.unified = ["tasks": "1"] } }
    }
}

@Suite struct CgroupPathTests {
    @Test(arguments: [
        ("", "c1", ["c1"]), ("/a/b", "c1", ["a", "b"]), ("../../a//./b/..", "c1", ["a", "b"]), ("/", "c1", ["c1"]),
        ("..", "..", ["container"]), ("system.slice:runc:x", "c1", ["system.slice:runc:x"]),
    ])
    func names(_ path: String, _ id: String, _ names: [String]) {
        #expect(CgroupPath.names(cgroupsPath: path, container: id) == names)
    }
}

import Glibc
import JSON
import LinuxSys
import OCISpec
import Testing

@testable import Runtime

struct HostLimitsTests {
    private func limits(_ text: String) throws -> HostLimits {
        let value = try JSONValue.parse(Array(text.utf8))
        return HostLimits(
            try Linux.Resources(decoding: JSONCursor(value)), guestMemoryMiB: 100, accelerated: true)
    }

    private func writes(_ limits: HostLimits, isUnified: Bool) -> [String] {
        (limits.settings + limits.quotaSettings).flatMap { setting in
            setting.writes(isUnified: isUnified).map { "\($0.file) \($0.value)" }
        }
    }

    private static let some = """
        {"memory": {"limit": 67108864}, "cpu": {"shares": 512, "quota": 50000, "cpus": "0-1,9", "mems": "0"}}
        """

    @Test("the guest's whole size, and what the processes need beside it")
    func old() throws {
        #expect(
            writes(try limits(Self.some), isUnified: false) == [
                "memory.limit_in_bytes 272629760", "cpu.shares 512", "cpuset.cpus 0-1,9", "cpuset.mems 0",
                "cpu.cfs_period_us 100000", "cpu.cfs_quota_us 50000",
            ])
    }

    @Test func unified() throws {
        #expect(
            writes(try limits(Self.some), isUnified: true) == [
                "memory.max 272629760", "cpu.weight 20", "cpuset.cpus 0-1,9", "cpuset.mems 0", "cpu.max 50000 100000",
            ])
        #expect(
            writes(try limits(#"{"memory": {"limit": -1}, "cpu": {"quota": -1, "period": 5000}}"#), isUnified: true)
                == [
                    "memory.max max", "cpu.max max 5000",
                ])
    }

    @Test("nothing said is nothing written") func nothing() throws {
        #expect(try limits("{}").settings.isEmpty && limits("{}").quotaSettings.isEmpty)
        #expect(HostLimits(nil, guestMemoryMiB: 1, accelerated: false).settings.isEmpty)
        #expect(try limits(#"{"memory": {"limit": 0}, "cpu": {"shares": 0, "quota": 0}}"#).settings.isEmpty)
    }

    private static let blockIO = """
        {"blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 16, "weight": 1000}, {"major": 8, "minor": 0}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 0}]}}
        """

    @Test("block devices are the host's") func blocks() throws {
        let limits = try limits(Self.blockIO)
        #expect(
            writes(limits, isUnified: false) == [
                "blkio.bfq.weight 500", "blkio.weight 500", "blkio.bfq.weight_device 8:16 1000",
                "blkio.weight_device 8:16 1000", "blkio.throttle.read_bps_device 8:0 1024",
                "blkio.throttle.write_iops_device 8:0 0",
            ])
        #expect(
            writes(limits, isUnified: true) == [
                "io.bfq.weight 500", "io.weight 4950", "io.bfq.weight 8:16 1000", "io.weight 8:16 10000",
                "io.max 8:0 rbps=1024", "io.max 8:0 wiops=max",
            ])
        #expect([0, 10, 1000, .max].map { HostLimits.ioWeight($0) } == [1, 1, 10000, 10000])
    }

    @Test("what systemd is told is what we write") func properties() throws {
        let limits = try limits(Self.some)
        #expect(
            limits.properties(isUnified: true) == [
                .init("TasksMax", .uint64(1024)), .init("MemoryMax", .uint64(272_629_760)),
                .init("CPUWeight", .uint64(20)),
                .init("AllowedCPUs", .array("y", [.byte(3), .byte(2)])),
                .init("AllowedMemoryNodes", .array("y", [.byte(1)])),
            ])
        #expect(
            limits.properties(isUnified: false) == [
                .init("TasksMax", .uint64(1024)), .init("MemoryLimit", .uint64(272_629_760)),
                .init("CPUShares", .uint64(512)),
            ])
        #expect(limits.quotaProperties == [.init("CPUQuotaPerSecUSec", .uint64(500_000))])
        #expect(
            try self.limits(#"{"cpu": {"quota": 3333, "period": 10000}}"#).quotaProperties == [
                .init("CPUQuotaPeriodUSec", .uint64(10_000)), .init("CPUQuotaPerSecUSec", .uint64(340_000)),
            ])
        #expect(
            try self.limits(#"{"cpu": {"quota": -1}, "memory": {"limit": -1}}"#).quotaProperties == [
                .init("CPUQuotaPerSecUSec", .uint64(.max))
            ])
        #expect(
            try self.limits(#"{"cpu": {"quota": 9223372036854775807, "period": 1}}"#).quotaProperties.last
                == .init("CPUQuotaPerSecUSec", .uint64(.max)))
        #expect(
            try self.limits(Self.blockIO).properties(isUnified: true).last == .init("IOWeight", .uint64(4950)))
    }
}

/// With directories in the place of cgroups.
struct HostCgroupTests {
    private func cgroup(_ directory: String, isUnified: Bool, controllers: [String] = []) -> HostCgroup {
        HostCgroup(places: [
            .init(
                directory: directory, outside: directory, controllers: controllers, isUnified: isUnified,
                mount: directory)
        ])
    }

    private func put(_ text: String, _ path: String) throws {
        try FileDescriptor.open(path, O_WRONLY | O_CREAT, mode: 0o600).writeAll(Array(text.utf8))
    }

    private func get(_ path: String) throws -> String { text(try File.read(path, limit: 4096)) }

    @Test("a directory of v2 says itself which controllers it has; what it lacks is not written, and known")
    func controllers() throws {
        try inScratch { directory in
            try put("cpuset cpu pids\n", directory + "/cgroup.controllers")
            try put("", directory + "/cpu.weight")
            try put("", directory + "/pids.max")
            let cgroup = cgroup(directory, isUnified: true)
            #expect(cgroup.has("cpu") && !cgroup.has("memory") && !cgroup.has("io"))
            var limits = HostLimits(nil, guestMemoryMiB: 64, accelerated: true)
            limits.memory = 1 << 30
            limits.shares = 1024
            try limits.apply(to: cgroup)
            #expect(try get(directory + "/cpu.weight") == "39" && get(directory + "/pids.max") == "1024")
            #expect(limits.missingControllers(in: cgroup) == ["memory"])
        }
    }

    @Test("v1's name of io is blkio, and the file of a weight the one that is there")
    func weights() throws {
        try inScratch { directory in
            try put("", directory + "/blkio.weight")
            let cgroup = cgroup(directory, isUnified: false, controllers: ["blkio"])
            let setting = HostSetting("io", v1: [.init("blkio.bfq.weight", "1"), .init("blkio.weight", "2")])
            try cgroup.write(setting)
            #expect(try get(directory + "/blkio.weight") == "2")
            unlink(directory + "/blkio.weight")
            #expect(
                throws: RuntimeError("the host's cgroups have no blkio.weight: its kernel can't hold that limit")
            ) { try cgroup.write(setting) }
        }
    }

    @Test("it is written down with its unit, and found again") func json() throws {
        var cgroup = cgroup("/x", isUnified: true)
        for unit in [nil, "a.scope"] {
            cgroup.unit = unit
            #expect(try HostCgroup(decoding: JSONCursor(try JSONValue.parse(cgroup.json.bytes()))) == cgroup)
        }
    }

    @Test("the unit is stopped when it is removed, and what systemd has against it is known")
    func removal() throws {
        try inScratch { directory in
            var cgroup = cgroup(directory + "/none", isUnified: true)
            cgroup.unit = "u.scope"
            let fake = try FakeSystemd(
                directory,
                [
                    [.answer(1), .answer(2, [.path("/j")]), .jobRemoved("/j", "done"), .answer(3)],
                    [.answer(1), .error(2, "X")],
                ])
            #expect(cgroup.remove(milliseconds: 100, fake.systemd) == nil)
            #expect(
                cgroup.remove(milliseconds: 100, fake.systemd)?.description == "systemd can't stop the unit u.scope: no"
            )
            #expect(try fake.calls()[0][1].arguments().first == .string("u.scope"))
        }
    }
}

import OCISpec
import Testing

@testable import Runtime

struct GuestSizeTests {
    private func size(
        quota: Int64? = nil, period: UInt64? = nil, cpus: String = "", limit: Int64? = nil, hostCPUs: Int = 16,
        hostMemoryMiB: Int = 65536, _ configuration: Configuration = Configuration()
    ) -> GuestSize {
        var cpu = Linux.Resources.CPU()
        cpu.quota = quota
        cpu.period = period
        cpu.cpus = cpus
        var memory = Linux.Resources.Memory()
        memory.limit = limit
        var resources = Linux.Resources()
        resources.cpu = cpu
        resources.memory = memory
        var linux = Linux()
        linux.resources = resources
        let spec = Spec(ociVersion: "1.0.2", linux: linux)
        return GuestSize(spec, configuration, hostCPUs: hostCPUs, hostMemoryMiB: hostMemoryMiB)
    }

    @Test func defaults() {
        var configuration = Configuration()
        let bare = GuestSize(Spec(ociVersion: "1.0.2"), configuration, hostCPUs: 4, hostMemoryMiB: 8192)
        #expect(bare.vcpus == 1 && bare.memoryMiB == 512)
        configuration.defaultVCPUs = 3
        configuration.defaultMemoryMiB = 128
        let other = size(configuration)
        #expect(other.vcpus == 3 && other.memoryMiB == 128)
        // The host has no more than it has.
        let small = size(hostCPUs: 2, hostMemoryMiB: 100, configuration)
        #expect(small.vcpus == 2 && small.memoryMiB == 100)
    }

    @Test(
        "vCPUs: the quota in whole CPUs, rounded up",
        arguments: [
            (100_000, 100_000, 1), (100_001, 100_000, 2), (1, 100_000, 1), (250_000, 100_000, 3), (50_000, nil, 1),
            (150_000, nil, 2), (150_000, 0, 16), (.max, 1, 16), (.max, nil, 16), (.max, .max, 1), (2, .max, 1),
            (1, 1, 1),
            (0, 100_000, 1), (-1, 100_000, 1), (.min, 1, 1),
        ] as [(Int64, UInt64?, Int)])
    func quota(quota: Int64, period: UInt64?, vcpus: Int) { #expect(size(quota: quota, period: period).vcpus == vcpus) }

    @Test("or else the size of the cpuset; never more than the host has, or the administrator allows")
    func cpuset() {
        #expect(size(cpus: "0-3,7").vcpus == 5)
        #expect(size(quota: 100_000, cpus: "0-3").vcpus == 1)
        #expect(size(quota: -1, cpus: "0-3").vcpus == 4)
        #expect(size(cpus: "0-8191").vcpus == 16)
        #expect(size(cpus: "0-99999999999999999999").vcpus == 1)
        #expect(size(cpus: "0-3", hostCPUs: 2).vcpus == 2)
        #expect(size(cpus: "0-3", hostCPUs: 0).vcpus == 1)
        var configuration = Configuration()
        configuration.maximumVCPUs = 2
        #expect(size(cpus: "0-3", configuration).vcpus == 2)
    }

    @Test(arguments: [
        ("0", 1), ("0-3", 4), ("0-3,7", 5), ("1,1,1", 1), ("0-3,2-5", 6), ("5-5", 1), ("0, 2-3", 3), (",1,", 1),
        ("8191", 1),
    ])
    func count(list: String, count: Int) { #expect(CPUSet.count(list) == count) }

    @Test(arguments: [
        "", ",", " ", "a", "-", "1-", "-1", "3-1", "1-2-3", "1--2", "8192", "0-8192", "9223372036854775807",
        "0-9223372036854775807", "9223372036854775808", "-9223372036854775808", "0x1", "1.5", "0-6:2", "0\n1",
    ])
    func noList(list: String) { #expect(CPUSet.count(list) == nil) }

    @Test("memory: the limit and the overhead, so that the container can reach its limit")
    func memory() {
        #expect(size(limit: 512 << 20).memoryMiB == 512 + 48 + 512 / 16)
        #expect(size(limit: (512 << 20) + 1).memoryMiB == 513 + 48 + 513 / 16)
        #expect(size(limit: 1).memoryMiB == 96)
        // No limit.
        for limit in [Int64.min, -1, 0] { #expect(size(limit: limit).memoryMiB == 512) }
        var configuration = Configuration()
        configuration.overheadMiB = 100
        #expect(size(limit: 512 << 20, configuration).memoryMiB == 612)
    }

    @Test(
        "a limit over the host's memory is the host's memory", arguments: [.max, .max - 1, 1 << 62, 1 << 40] as [Int64])
    func endlessMemory(limit: Int64) {
        #expect(size(limit: limit).memoryMiB == 65536)
        #expect(size(limit: limit, hostMemoryMiB: 1).memoryMiB == 96)
        #expect(size(limit: limit, hostMemoryMiB: .max).memoryMiB >= 1 << 20)
    }
}

import CKVM
import LinuxSys
import Testing

@testable import KVM

let hasKVM = File.exists("/dev/kvm")

/// Serialized: the machine's few cores are what the deadline is measured on.
@Suite(.serialized)
struct KVMProbeTests {
    /// A loaded machine wakes a waiting process late; the probe's own limit is exact.
    private let lateness: UInt64 = 150_000_000

    @Test(.enabled(if: hasKVM, "there is no /dev/kvm here"))
    func answersWithinTheDeadline() {
        let report = KVMProbe().run()
        #expect(report.nanoseconds < 200_000_000 + lateness)
        switch report.fitness {
        case .fit(let nanoseconds):
            #expect(nanoseconds == report.nanoseconds)
            #expect(report.slowdown != nil)
        case .unfit(let reason): #expect(reason.hasPrefix("KVM"))
        case .noPermission: break
        case .missing(let error): Issue.record("\(error), but there is a /dev/kvm")
        }
    }

    @Test(.enabled(if: hasKVM, "there is no /dev/kvm here"))
    func answersTheSameAgain() {
        let first = KVMProbe().run().fitness
        let second = KVMProbe().run().fitness
        if case .unfit(let reason) = first, !reason.contains("within") {
            #expect(second == first)
        } else {
            #expect(second.isFit == first.isFit)
        }
    }

    @Test(.enabled(if: hasKVM, "there is no /dev/kvm here"))
    func endlessGuestIsKilledAtTheDeadline() throws {
        var probe = KVMProbe()
        probe.endless = true
        let report = probe.run()
        guard case .unfit(let reason) = report.fitness else {
            Issue.record("\(report.fitness)")
            return
        }
        #expect(reason.hasPrefix("KVM did not finish within 200 ms at an endless loop"))
        #expect(report.nanoseconds > 150_000_000)
        #expect(report.nanoseconds < 200_000_000 + lateness)
    }

    @Test(.enabled(if: hasKVM, "there is no /dev/kvm here"))
    func deadlineIsTheCallers() {
        var probe = KVMProbe(deadlineMilliseconds: 60)
        probe.endless = true
        let report = probe.run()
        #expect(!report.fitness.isFit)
        #expect(report.nanoseconds < 60_000_000 + lateness)
    }

    @Test func missingDevice() {
        #expect(KVMProbe(device: "/nonexistent/kvm").run().fitness == .missing(.noSuchFile))
        #expect(KVMProbe(device: "/dev/null/kvm").run().fitness == .missing(.notDirectory))
    }

    @Test func anotherDevice() {
        #expect(KVMProbe(device: "/dev/null").run().fitness == .unfit(reason: "/dev/null is not a KVM"))
    }
}

struct ProbeCodeTests {
    @Test func stagesAreInOrderAndInTheCode() {
        let stages = KVMProbe.stages
        let names = [
            "the first instruction", "cpuid", "int3", "popcnt", "cmpxchg16b", "clac", "fwait", "fxrstor64", "xsetbv",
            "xrstor64", "rdtscp", "wrmsr", "invlpg", "the speed loop", "out", "an endless loop",
        ]
        #expect(stages.map(\.name) == names)
        #expect(stages.first?.offset == 0)
        #expect(zip(stages, stages.dropFirst()).allSatisfy { $0.offset < $1.offset })
        #expect(stages.allSatisfy { $0.offset < KVMProbe.code.count })
        // A page table, a GDT and the stack are behind it.
        #expect(KVMProbe.code.count <= 8192)
    }

    @Test(
        arguments: [
            ("cpuid", [0x0f, 0xa2]), ("int3", [0xcc]), ("popcnt", [0xf3, 0x49, 0x0f, 0xb8]),
            ("cmpxchg16b", [0xf0, 0x48, 0x0f, 0xc7]), ("clac", [0x0f, 0x01, 0xca]), ("fwait", [0x9b]),
            ("fxrstor64", [0x48, 0x0f, 0xae, 0x0c, 0x25]), ("xsetbv", [0x0f, 0x01, 0xd1]),
            ("xrstor64", [0x48, 0x0f, 0xae, 0x2c, 0x25]), ("rdtscp", [0x0f, 0x01, 0xf9]), ("wrmsr", [0x0f, 0x30]),
            ("invlpg", [0x0f, 0x01, 0x3c, 0x25]), ("out", [0xe7, 0xf4]), ("an endless loop", [0xeb, 0xfe]),
        ] as [(String, [UInt8])])
    func stageHoldsItsInstruction(name: String, instruction: [UInt8]) throws {
        let stages = KVMProbe.stages
        let at = try #require(stages.firstIndex { $0.name == name })
        let end = at + 1 < stages.count ? stages[at + 1].offset : KVMProbe.code.count
        let code = KVMProbe.code[stages[at].offset..<end]
        let found = code.indices.contains { code[$0...].starts(with: instruction) }
        #expect(found, "\(name) is not in \(code.map { String($0, radix: 16) })")
    }
}

struct ProbeVerdictTests {
    private func fitness(_ verdict: ckvm_verdict, _ change: (inout ckvm_probe_result) -> Void = { _ in }) -> KVMFitness
    {
        var result = ckvm_probe_result()
        result.verdict = Int32(verdict.rawValue)
        result.stage = -1
        change(&result)
        return ProbeVerdict(result, device: "/dev/kvm", deadlineMilliseconds: 200).fitness
    }

    @Test func emulator() {
        let answer = fitness(CKVM_UNEXPECTED_EXIT) {
            $0.exit_reason = UInt32(KVM_EXIT_INTERNAL_ERROR)
            $0.value = 1
            $0.stage = 2
        }
        let reason =
            "KVM stops at int3, an instruction it can't emulate (internal error, suberror 1): the host's KVM back end "
            + "has no hardware virtualization"
        #expect(answer == .unfit(reason: reason))
    }

    @Test func interpreter() {
        let answer = fitness(CKVM_SLOW) {
            $0.guest_ticks = 5300
            $0.native_ticks = 100
        }
        #expect(answer == .unfit(reason: "KVM runs guest code 53 times slower than the host: it interprets it"))
    }

    @Test func faults() {
        let exception = fitness(CKVM_EXCEPTION) {
            $0.value = 6
            $0.stage = 5
        }
        #expect(exception == .unfit(reason: "KVM raises exception 6 (#UD) in the guest at clac, where none is due"))
        let wrong = fitness(CKVM_WRONG_RESULT) { $0.stage = 12 }
        #expect(wrong == .unfit(reason: "KVM runs the guest wrongly: another result than due at invlpg"))
    }

    @Test func opening() {
        #expect(fitness(CKVM_NO_DEVICE) { $0.error = Errno.accessDenied.rawValue } == .noPermission)
        #expect(fitness(CKVM_NO_DEVICE) { $0.error = 19 } == .missing(Errno(rawValue: 19)))
        let full = fitness(CKVM_NO_DEVICE) { $0.error = 24 }
        #expect(full == .unfit(reason: "/dev/kvm does not open: Too many open files"))
    }

    @Test func aBusyMachineIsSaid() {
        let busy = fitness(CKVM_TIMEOUT) { $0.child_cpu_ns = 7_200_000 }
        let reason = "KVM did not finish within 200 ms (the machine is busy: the probe had 7 ms of a processor)"
        #expect(busy == .unfit(reason: reason))
        let hung = fitness(CKVM_TIMEOUT) { $0.child_cpu_ns = 150_000_000 }
        #expect(hung == .unfit(reason: "KVM did not finish within 200 ms"))
    }

    @Test func anUnknownStageHasNoPlace() {
        let answer = fitness(CKVM_TIMEOUT) { $0.stage = 99 }
        #expect(answer == .unfit(reason: "KVM did not finish within 200 ms"))
    }
}

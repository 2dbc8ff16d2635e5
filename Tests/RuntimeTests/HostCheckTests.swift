import JSON
import KVM
import LinuxSys
import Testing

@testable import Runtime

struct HostCheckTests {
    private let check = HostCheck(items: [
        CheckItem("KVM", .ok, "/dev/kvm"),
        CheckItem("KVM guest code", .unfit, "stops at int3", advice: "nothing is lost"),
        CheckItem("QEMU", .missing, "qemu-system-x86_64", advice: "install it", required: true),
        CheckItem("TSC", .note, "2445426 kHz, measured"),
    ])

    @Test func table() {
        let expected = """
            NAME            STATUS   DETAIL
            KVM             ok       /dev/kvm
            KVM guest code  unfit    stops at int3
                                     -> nothing is lost
            QEMU            missing  qemu-system-x86_64
                                     -> install it
            TSC             note     2445426 kHz, measured

            No container can run here: QEMU.

            """
        #expect(check.table() == expected)
    }

    @Test func json() throws {
        let json = check.json()
        #expect(json["canRun"] == false)
        guard case .array(let items)? = json["items"] else {
            Issue.record("no items")
            return
        }
        #expect(items.count == 4)
        let unfit: JSONValue = [
            "name": "KVM guest code", "status": "unfit", "detail": "stops at int3", "advice": "nothing is lost",
            "required": false,
        ]
        #expect(items[1] == unfit)
        #expect(items[0]["advice"] == .null)
    }

    @Test func onlyWhatIsRequiredCounts() {
        #expect(!check.canRun)
        #expect(check.exitCode == 1)
        let rest = HostCheck(items: check.items.filter { !$0.required })
        #expect(rest.canRun)
        #expect(rest.exitCode == 0)
        #expect(rest.summary == "Containers can run here.")
    }

    @Test func thisMachine() {
        var paths = HostCheck.Paths(kernel: "/nonexistent/vmlinux", agent: "/proc/self/exe")
        paths.qemu = ["/nonexistent/qemu"]
        let check = HostCheck.run(paths)
        #expect(!check.canRun)
        #expect(check.items.first { $0.name == "guest kernel" }?.status == .missing)
        #expect(check.items.first { $0.name == "guest agent" }?.status == .ok)
        #expect(check.items.first { $0.name == "QEMU" }?.status == .missing)
        #expect(check.items.count == 11)
        #expect(Set(check.items.map(\.name)).count == check.items.count)
    }
}

struct ProgramCheckTests {
    @Test(
        arguments: [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", [7, 2, 22]),
            ("QEMU emulator version 10.0.0\n", [10, 0, 0]), ("QEMU emulator version 9.2.0-rc1", [9, 2, 0]),
            ("QEMU emulator version 4.2.1(qemu-kvm-4.2.1)", [4, 2, 1]),
        ] as [(String, [UInt32])])
    func versions(output: String, parts: [UInt32]) { #expect(QEMUVersion(parsing: output)?.parts == parts) }

    @Test(arguments: ["", "QEMU", "QEMU emulator version", "QEMU emulator version x.y", "GNU bash, version 5.2.15"])
    func noVersions(output: String) { #expect(QEMUVersion(parsing: output) == nil) }

    @Test func order() {
        #expect(QEMUVersion(parts: [4, 2, 1]) < .oldest)
        #expect(QEMUVersion(parts: [5, 1, 0]) >= .oldest)
        #expect(QEMUVersion(parts: [10, 0]) > QEMUVersion(parts: [9, 2]))
    }

    @Test func output() throws {
        #expect(try ProgramOutput.read("/bin/echo", ["hi"], milliseconds: 5000) == "hi\n")
        #expect(throws: ProgramOutput.Failure.failed(.exited(code: 3))) {
            try ProgramOutput.read("/bin/sh", ["-c", "exit 3"], milliseconds: 5000)
        }
        #expect(throws: ProgramOutput.Failure.self) { try ProgramOutput.read("/nonexistent", [], milliseconds: 5000) }
    }

    @Test func deadline() {
        let begin = Clock.monotonicNanoseconds()
        #expect(throws: ProgramOutput.Failure.timedOut(milliseconds: 50)) {
            try ProgramOutput.read("/bin/sleep", ["30"], milliseconds: 50)
        }
        #expect(Clock.monotonicNanoseconds() - begin < 1_000_000_000)
    }

    @Test func searchPath() {
        #expect(ProgramCheck.find(["sh"], path: "/nonexistent:/bin") == "/bin/sh")
        #expect(ProgramCheck.find(["nonexistent", "/bin/sh"], path: "/bin") == "/bin/sh")
        // A directory can be "executed" too.
        #expect(ProgramCheck.find(["bin"], path: "/usr") == nil)
    }

    @Test func kernel() {
        #expect(KernelCheck.cgroups("/nonexistent").status == .missing)
        #expect(KernelCheck.cgroups("/proc").status == .missing)
        #expect(KernelCheck.userNamespaces("/nonexistent", isRoot: true).status == .missing)
    }
}

struct KVMCheckTests {
    private func items(_ fitness: KVMFitness, slowdown: Double? = nil) -> [CheckItem] {
        KVMCheck.items(.init(fitness: fitness, nanoseconds: 3_240_000, slowdown: slowdown), device: "/dev/kvm")
    }

    @Test func fit() {
        let items = items(.fit(nanoseconds: 3_240_000), slowdown: 1.04)
        #expect(items.map(\.status) == [.ok, .ok])
        #expect(items.last?.detail == "runs: probed in 3.2 ms, 1.0 times the host's time for the same code")
    }

    @Test func neverRequired() {
        let answers: [KVMFitness] = [.missing(.noSuchFile), .noPermission, .unfit(reason: "KVM stops")]
        for answer in answers {
            let items = items(answer)
            #expect(items.allSatisfy { $0.allowsRunning })
            #expect(items.contains { $0.advice != nil })
        }
        #expect(items(.noPermission).first?.status == .unfit)
        #expect(items(.missing(.noSuchFile)).first?.status == .missing)
    }
}

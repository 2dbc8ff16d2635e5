import JSON
import Testing

extension EndToEnd {
    /// linux.seccomp: the guest's kernel refuses what the filter says, for the init and for what is exec'ed.
    @Suite struct Seccomp {
        private let filter: JSONValue = [
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                ["names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28],
                ["names": ["sethostname"], "action": "SCMP_ACT_ERRNO"],
                ["names": ["sync"], "action": "SCMP_ACT_KILL_PROCESS"],
            ],
        ]

        @Test("with no_new_privs and without", arguments: [true, false])
        func blocked(noNewPrivileges: Bool) throws {
            try Host.use { host in
                let script = "mkdir /tmp/x; grep '^Seccomp:' /proc/self/status; sync; echo $?"
                let bundle = try host.bundle(script) {
                    $0.set("linux.seccomp", filter)
                    $0.set("process.noNewPrivileges", .bool(noNewPrivileges))
                    $0.set("process.user", ["uid": 1000, "gid": 1000])
                }
                let outcome = try host.run(bundle)
                #expect(outcome.err.contains("mkdir: can't create directory '/tmp/x': No space left on device"))
                // 159: 128 + SIGSYS.
                #expect(outcome.out.contains("Seccomp:\t2\n") && outcome.out.hasSuffix("159\n"), "\(outcome)")
            }
        }

        @Test("a filter that knows faccessat(2) and not faccessat2(2) does not hide the program")
        func olderThanTheAgent() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo found") {
                    $0.set(
                        "linux.seccomp",
                        [
                            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                            "syscalls": [["names": ["faccessat2"], "action": "SCMP_ACT_ERRNO"]],
                        ])
                    $0.set("process.noNewPrivileges", false)
                }
                let outcome = try host.run(bundle)
                #expect(outcome.out == "found\n" && outcome.code == 0, "\(outcome)")
            }
        }

        @Test func exec() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo ready; trap 'exit 0' TERM; while :; do sleep 0.1; done") {
                    $0.set("linux.seccomp", filter)
                }
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                let outcome = try host.command("exec", host.id, "mkdir", "/tmp/x")
                #expect(outcome.code == 1 && outcome.err.contains("No space left on device"), "\(outcome)")
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                #expect(try run.finish().code == 0)
            }
        }
    }
}

import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Each action, flag and operator of linux.seccomp, as a program inside meets it.
    @Suite struct SeccompFilters {
        /// Calls that take no argument, so that any can be given; by their numbers on x86-64.
        private enum Call {
            static let getpid = 39
            static let getuid = 102
            static let getgid = 104
            static let geteuid = 107
            static let getegid = 108
            static let getppid = 110
            static let getpgrp = 111
            static let sync = 162
        }

        private func run(_ seccomp: JSONValue, _ script: String) throws -> Outcome {
            try Host.use { host in
                let bundle = try host.bundle(script) {
                    $0.set("linux.seccomp", seccomp)
                }
                try bundle.install("call")
                return try host.run(bundle)
            }
        }

        private func rule(_ name: String, errno: Int64, _ arguments: JSONValue...) -> JSONValue {
            [
                "names": [.string(name)], "action": "SCMP_ACT_ERRNO", "errnoRet": .integer(errno),
                "args": .array(arguments),
            ]
        }

        private func argument(_ index: Int64, _ op: String, _ value: Int64, _ second: Int64 = 0) -> JSONValue {
            [
                "index": .integer(index), "op": .string("SCMP_CMP_" + op), "value": .integer(value),
                "valueTwo": .integer(second),
            ]
        }

        @Test func actionsAndComparisons() throws {
            let high: Int64 = 0x1_0000_0000
            let filter: JSONValue = [
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                "syscalls": [
                    rule("getpid", errno: 11, argument(0, "EQ", 7)),
                    rule("getppid", errno: 12, argument(5, "MASKED_EQ", 0xF0, 0x30)),
                    rule("getuid", errno: 13, argument(1, "LT", 10)),
                    // Not of getuid too: libseccomp before 2.6.1 merges the two wrongly (GHSA-4q85-33p6-j5g6).
                    rule("getpgrp", errno: 14, argument(1, "GE", high)),
                    rule("geteuid", errno: 15, argument(2, "GT", 10)),
                    rule("geteuid", errno: 16, argument(2, "LE", 3)),
                    rule("getgid", errno: 17, argument(3, "NE", 5)),
                    rule("getegid", errno: 4094, argument(0, "EQ", 1), argument(4, "EQ", 2)),
                ],
            ]
            let expected: [(Int, String, String)] = [
                (Call.getpid, "7", "errno 11"), (Call.getpid, "8", "ok"), (Call.getpid, "0x100000007", "ok"),
                (Call.getppid, "0 0 0 0 0 0x3f", "errno 12"), (Call.getppid, "0 0 0 0 0 0x4f", "ok"),
                (Call.getuid, "0 9", "errno 13"), (Call.getuid, "0 10", "ok"), (Call.getpgrp, "0 \(high)", "errno 14"),
                (Call.geteuid, "0 0 11", "errno 15"), (Call.geteuid, "0 0 3", "errno 16"),
                (Call.geteuid, "0 0 10", "ok"),
                (Call.getgid, "0 0 0 4", "errno 17"), (Call.getgid, "0 0 0 5", "ok"),
                (Call.getegid, "1 0 0 0 2", "errno 4094"), (Call.getegid, "1 0 0 0 3", "ok"),
            ]
            let script = expected.map { "call \($0.0) \($0.1)" }.joined(separator: "\n")
            let outcome = try run(filter, script)
            #expect(outcome.lines == expected.map(\.2), "\(outcome.err)")
        }

        /// 159 is 128 + SIGSYS; what is traced by nobody is not there.
        @Test(arguments: [
            ("SCMP_ACT_KILL", "159"), ("SCMP_ACT_KILL_THREAD", "159"), ("SCMP_ACT_KILL_PROCESS", "159"),
            ("SCMP_ACT_TRAP", "159"), ("SCMP_ACT_LOG", "ok 0"), ("SCMP_ACT_ALLOW", "ok 0"),
            ("SCMP_ACT_ERRNO", "errno 1 0"), ("SCMP_ACT_TRACE", "errno 38 0"),
        ])
        func actions(action: String, said: String) throws {
            let filter: JSONValue = [
                "defaultAction": action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_LOG" : "SCMP_ACT_ALLOW",
                "syscalls": [["names": ["sync"], "action": .string(action)]],
            ]
            let outcome = try run(filter, "call \(Call.sync); echo $?")
            #expect(outcome.lines.joined(separator: " ") == said, "\(outcome.err)")
        }

        @Test func killedInit() throws {
            let filter: JSONValue = [
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [["names": ["sync"], "action": "SCMP_ACT_KILL_PROCESS"]],
            ]
            let outcome = try run(filter, "echo before; exec call \(Call.sync)")
            #expect(outcome.out == "before\n" && outcome.code == 159, "\(outcome)")
        }

        /// What no rule names gets the error that the filter's default has.
        @Test func defaultErrno() throws {
            let names: JSONValue = [
                "access", "arch_prctl", "brk", "capget", "capset", "chdir", "clone", "close", "dup", "dup2", "dup3",
                "execve", "execveat", "exit", "exit_group", "faccessat", "fchdir", "fcntl", "fork", "fstat", "fstatfs",
                "futex", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getpgid", "getpgrp", "getpid",
                "getppid", "getrandom", "getuid", "ioctl", "lseek", "lstat", "mmap", "mprotect", "mremap", "munmap",
                "newfstatat", "open", "openat", "pipe", "pipe2", "poll", "prctl", "prlimit64", "read", "readlink",
                "readlinkat", "readv", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "seccomp",
                "sendmsg", "set_robust_list", "set_tid_address", "setgid", "setgroups", "setpgid", "setresgid",
                "setresuid", "setuid", "stat", "statx", "umask", "uname", "vfork", "wait4", "write", "writev",
            ]
            var filter: JSONValue = [
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 95,
                "syscalls": [["names": names, "action": "SCMP_ACT_ALLOW"]],
            ]
            let script = "call \(Call.sync); call 9999; call \(Call.getpid)"
            let outcome = try run(filter, script)
            #expect(outcome.lines == ["errno 95", "errno 95", "ok"], "\(outcome.err)")
            // Of an architecture that the profile names, a call that is newer than all that it knows is unknown (ENOSYS).
            filter.set("architectures", ["SCMP_ARCH_X86_64"])
            let named = try run(filter, script)
            #expect(named.lines == ["errno 95", "errno 38", "ok"], "\(named.err)")
        }

        @Test func flags() throws {
            let filter: JSONValue = [
                "defaultAction": "SCMP_ACT_ALLOW",
                "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                "syscalls": [["names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5]],
            ]
            let outcome = try run(filter, "call \(Call.sync)")
            #expect(outcome.out == "errno 5\n", "\(outcome.err)")
        }
    }
}

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Signals to `run`, and what happens when one of the processes of a sandbox is killed.
    @Suite struct Signals {
        /// The last is a real-time one, SIGRTMIN+3.
        private static let forwarded: [CInt] = [
            SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGTERM, 37,
        ]

        @Test func catchableOnesAreForwarded() throws {
            try Host.use { host in
                let traps = Self.forwarded.map { "trap 'echo got \($0).' \($0)" }.joined(separator: "; ")
                let run = try host.starting(
                    try host.bundle("\(traps); trap 'exit 9' 36; echo ready; while :; do sleep 0.05; done"))
                try run.wait(forOutput: "ready")
                for signal in Self.forwarded {
                    run.signal(signal)
                    try run.wait(forOutput: "got \(signal).")
                }
                run.signal(36)
                let outcome = try run.finish()
                #expect(outcome.code == 9)
                #expect(outcome.out == "ready\n" + Self.forwarded.map { "got \($0).\n" }.joined())
                #expect(outcome.err.isEmpty)
            }
        }

        @Test func defaultActionEndsTheContainer() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo ready; exec sleep 100") { config in
                    config.remove("linux.namespaces") { $0["type"] == "pid" }
                }
                let run = try host.starting(bundle)
                try run.wait(forOutput: "ready")
                run.signal(SIGTERM)
                #expect(try run.finish().code == 128 + SIGTERM)
            }
        }

        @Test func interruptWhileBootingEndsEverything() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo never"))
                try run.wait("the sandbox's processes") { Leaks.descendants().count >= 3 }
                run.signal(SIGINT)
                let outcome = try run.finish()
                #expect(outcome.code == 128 + SIGINT)
                #expect(outcome.complaints == ["kvm-runtime: interrupted by SIGINT"])
                #expect(outcome.out.isEmpty)
            }
        }

        @Test func killedRunTakesEverythingAlong() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo ready; sleep 100"))
                try run.wait(forOutput: "ready")
                run.signal(SIGKILL)
                #expect(try run.finish(readingToTheEnd: false).code == 128 + SIGKILL)
                #expect(host.isClean(within: 2))
            }
        }

        /// Whichever process of a sandbox dies: the command says which, ends, and nothing is left.
        @Test(arguments: ["supervisor", "qemu", "kvm-vmm"])
        func deathOfAProcessIsToldAndCleanedUp(name: String) throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo ready; sleep 100"))
                try run.wait(forOutput: "ready")
                try run.wait("the state \"running\"") { try host.status() == "running" }
                kill(try #require(try host.processes()[name]), SIGKILL)
                let outcome = try run.finish()
                #expect(outcome.code == 1)
                #expect(outcome.complaints.count == 1)
                let line = outcome.complaints.first ?? ""
                #expect(line.contains(name) && line.contains("SIGKILL"), "\(line)")
                #expect(outcome.out == "ready\n")
            }
        }
    }
}

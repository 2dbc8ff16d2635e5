import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// The exit code of `run`.
    @Suite struct Exits {
        @Test(arguments: [0, 3, 255]) func codeIsTheContainers(code: Int32) throws {
            try Host.use { host in
                let outcome = try host.run("exit \(code)")
                #expect(outcome.status == .exited(code: code))
                #expect(outcome.out.isEmpty && outcome.err.isEmpty)
            }
        }

        /// In a pid namespace of its own an init can't kill itself; without one it can.
        @Test(arguments: [(SIGKILL, "KILL"), (SIGTERM, "TERM"), (SIGSEGV, "SEGV")])
        func signalIsAddedTo128(signal: CInt, name: String) throws {
            try Host.use { host in
                let outcome = try host.run("kill -\(name) $$; sleep 5") { config in
                    config.remove("linux.namespaces") { $0["type"] == "pid" }
                }
                #expect(outcome.status == .exited(code: 128 + signal))
                #expect(outcome.err.isEmpty)
            }
        }

        @Test func backgroundProcessesEndWithTheInit() throws {
            try Host.use { host in
                // They hold stdout open: the end of the container must not wait for them.
                let outcome = try host.run("sleep 1000 & sleep 1000 & echo started; exit 4")
                #expect(outcome.out == "started\n")
                #expect(outcome.code == 4)
            }
        }
    }
}

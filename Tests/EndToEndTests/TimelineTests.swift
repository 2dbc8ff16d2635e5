import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// --timeline: when each phase of a run began and ended.
    @Suite struct Timelines {
        /// In the order in which they begin.
        private static let phases = [
            "own start", "start of the machine's processes", "QEMU: load the kernel", "kernel and agent: boot",
            "agent: mount the rootfs", "agent: make the container", "start the process",
            "process: until its first byte",
            "deliver the last output", "power off",
        ]

        @Test func traceHasThePhasesInOrder() throws {
            try Host.use { host in
                let file = host.directory + "/trace.json"
                let outcome = try host.run(try host.bundle("sleep 0.2; echo hello; exit 2"), ["--timeline", file])
                #expect(outcome.code == 2)
                #expect(outcome.out == "hello\n")
                #expect(outcome.err.isEmpty)
                let trace = try JSONValue.parse(try Files.text(file))
                let events = trace["traceEvents"]?.elements.filter { $0["ph"] == "X" } ?? []
                for event in events {
                    #expect(event["pid"] != nil && event["tid"] != nil)
                    #expect(event["ts"]?.double ?? -1 >= 0)
                    #expect(event["dur"]?.double ?? -1 >= 0)
                }
                let inOrder = events.sorted { $0["ts"]?.double ?? 0 < $1["ts"]?.double ?? 0 }.compactMap {
                    $0["name"]?.string
                }
                #expect(inOrder.filter(Self.phases.contains) == Self.phases)
                #expect(inOrder.contains("process: run"))
                // Every phase begins where another ended: there is no time that is nobody's.
                let ends = events.map { ($0["ts"]?.double ?? 0) + ($0["dur"]?.double ?? 0) }
                for event in events.dropFirst() {
                    let begin = event["ts"]?.double ?? 0
                    #expect(ends.contains { abs($0 - begin) < 1 }, "\(event.text())")
                }
                // The first byte came after the sleep.
                let first = events.first { $0["name"] == "process: until its first byte" }
                #expect(first?["dur"]?.double ?? 0 >= 190_000)
            }
        }

        @Test func tableGoesToStderr() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("echo hello"), ["--timeline", "-"])
                #expect(outcome.out == "hello\n")
                let lines = outcome.err.split(separator: "\n")
                #expect(lines.first?.split(separator: " ") == ["from", "ms", "phase"])
                for phase in Self.phases { #expect(lines.contains { $0.hasSuffix("  " + phase) }, "\(phase)") }
            }
        }

        @Test func fileCannotBeWritten() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("echo hello"), ["--timeline", "/no/such/trace"])
                #expect(outcome.code == 1)
                #expect(outcome.err == "kvm-runtime: --timeline /no/such/trace: No such file or directory\n")
            }
        }

        @Test func detachedRunHasNone() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("echo never"), ["--detach", "--timeline", "-"])
                #expect(outcome.code == 1)
                #expect(outcome.complaints.count == 1 && outcome.err.contains("--timeline"))
            }
        }
    }
}

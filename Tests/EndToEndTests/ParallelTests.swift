import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// Several containers at the same time.
    @Suite struct Parallel {
        @Test func eightRunEachForItself() throws {
            try Host.use { host in
                // Eight guests on as few as one CPU, perhaps emulated.
                try host.configure("[guest]\nboot_timeout_seconds = 300\n")
                let script = "echo \"$1\" >/dev/shm/own; read line; echo \"$1 $(cat /dev/shm/own) $line\"; exit $1"
                let bundle = try host.bundle("echo never")
                var runs: [Running] = []
                for number in 1...8 {
                    let own = try host.bundle {
                        $0.set("process.args", ["/bin/sh", "-c", .string(script), "sh", .string("\(number)")])
                        $0.set("root.path", .string(bundle.rootfs))
                    }
                    runs.append(try host.starting(own, id: "\(host.id)-\(number)", stdin: .pipe))
                }
                for (index, run) in runs.enumerated() {
                    // All are there before the first may end.
                    try run.wait("container \(index + 1)", until: Deadline(seconds: 300)) {
                        try host.status("\(host.id)-\(index + 1)") == "running"
                    }
                }
                #expect(try host.command("list", "--quiet").lines.count == 8)
                for (index, run) in runs.enumerated().reversed() {
                    run.write("input \(index + 1)\n")
                    let outcome = try run.finish()
                    #expect(outcome.code == Int32(index + 1))
                    #expect(outcome.out == "\(index + 1) \(index + 1) input \(index + 1)\n")
                    #expect(outcome.err.isEmpty)
                }
            }
        }

        /// One caller gets the id; the others are told, and take nothing away from it.
        @Test func sameIDIsTakenOnce() throws {
            try Host.use { host in
                let bundle = try host.bundle("read line; echo \"$line\"")
                let runs = try (1...4).map { _ in try host.starting(bundle, stdin: .pipe) }
                let isDecided = try eventually {
                    for run in runs { try run.look() }
                    return try runs.filter(\.isRunning).count == 1 && host.status() == "running"
                }
                #expect(isDecided)
                let losers = runs.filter { !$0.isRunning }
                #expect(losers.count == 3)
                for loser in losers {
                    let outcome = try loser.finish()
                    #expect(outcome.code == 1)
                    #expect(outcome.err == "kvm-runtime: container with given ID already exists: \(host.id)\n")
                }
                let winner = try #require(runs.first { $0.isRunning })
                winner.write("won\n")
                #expect(try winner.finish().out == "won\n")
            }
        }
    }
}

import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// `kill`: every signal there is, by every word for it.
    @Suite struct Kill {
        /// As runc knows them (golang.org/x/sys), and kill(1).
        private static let names = [
            "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
            "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
            "WINCH", "IO", "PWR", "SYS",
        ]

        /// Signals that can be got, each with its words: runc knows no name for the real-time ones, ours are kill(1)'s.
        private static let words: [(signal: Int, words: [String])] = (1...64).compactMap { signal in
            if signal == Int(SIGKILL) || signal == Int(SIGSTOP) { return nil }
            var words = ["\(signal)"]
            switch signal {
            case ...31: words += [names[signal - 1], "SIG" + names[signal - 1]]
            case 34: words += ["RTMIN", "SIGRTMIN", "SIGRTMAX-30"]
            case 35...49: words += ["RTMIN+\(signal - 34)", "SIGRTMIN+\(signal - 34)"]
            case 50...63: words += ["RTMAX-\(64 - signal)", "SIGRTMAX-\(64 - signal)"]
            case 64: words += ["RTMAX", "SIGRTMAX", "RTMIN+30"]
            // What glibc keeps to itself has no name.
            default: break
            }
            return (signal, words)
        }

        private func recording(_ host: Host, count: Int) throws -> Running {
            let bundle = try host.bundle { $0.set("process.args", ["record-signals", .string("\(count)")]) }
            try bundle.install("record-signals")
            let run = try host.starting(bundle)
            for name in ["first", "second", "third"].prefix(count) { try run.wait(forOutput: name + " ready") }
            return run
        }

        @Test func everySignalByEveryWord() throws {
            try Host.use { host in
                let run = try recording(host, count: 1)
                var expected = "first ready\n"
                for (signal, words) in Self.words {
                    for word in words {
                        let kill = try host.command("kill", host.id, word)
                        #expect(kill.code == 0 && kill.err.isEmpty, "\(word): \(kill.err)")
                        expected += "first got \(signal).\n"
                        try run.wait("\(word)") { run.out.count >= expected.count }
                    }
                }
                // SIGTERM where nothing is said, as with runc; lower case will do.
                for arguments in [["kill", host.id], ["kill", host.id, ""], ["kill", host.id, "sigterm"]] {
                    #expect(try host.start(arguments).finish().code == 0)
                    expected += "first got 15.\n"
                    try run.wait("SIGTERM") { run.out.count >= expected.count }
                }
                #expect(run.out == expected)
                // What nobody can get works all the same.
                #expect(try host.command("kill", host.id, "STOP").code == 0)
                #expect(try eventually(within: 5) { try state(host) == ["T"] })
                #expect(try host.command("kill", host.id, "SIGCONT").code == 0)
                try run.wait(forOutput: expected + "first got 18.\n")
                #expect(try state(host) == ["S"])
                #expect(try host.command("kill", host.id, "SIGKILL").code == 0)
                #expect(try run.finish().code == 128 + SIGKILL)
            }
        }

        private func state(_ host: Host) throws -> [String] {
            try host.command("ps", host.id, "-o", "s=").lines
        }

        @Test func allOfThem() throws {
            try Host.use { host in
                let run = try recording(host, count: 3)
                for (signal, word) in [(10, "USR1"), (37, "37"), (15, "SIGTERM"), (33, "33")] {
                    #expect(try host.command("kill", "--all", host.id, word).code == 0)
                    for name in ["first", "second", "third"] {
                        try run.wait(forOutput: "\(name) got \(signal).\n")
                    }
                }
                // Without --all it is the init's alone.
                #expect(try host.command("kill", host.id, "USR2").code == 0)
                try run.wait(forOutput: "first got 12.\n")
                #expect(try host.command("kill", "-a", host.id, "KILL").code == 0)
                let outcome = try run.finish()
                #expect(outcome.code == 128 + SIGKILL)
                #expect(!outcome.out.contains("second got 12.") && !outcome.out.contains("third got 12."))
            }
        }

        /// In runc 1.1's words.
        @Test func refusals() throws {
            try Host.use { host in
                let run = try host.starting(
                    try host.bundle("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"))
                try run.wait(forOutput: "ready")
                for word in ["NOSUCH", "SIGNOSUCH", "SIG", " 9", "0x9", "RTMIN+31", "99999999999999999999"] {
                    let kill = try host.command("kill", host.id, word)
                    #expect(kill.code == 1 && kill.err == "kvm-runtime: unknown signal \"\(word)\"\n", "\(kill.err)")
                }
                for word in ["65", "1000"] {
                    let kill = try host.command("kill", host.id, word)
                    #expect(
                        kill.code == 1 && kill.err == "kvm-runtime: unable to signal init: invalid argument\n",
                        "\(kill.err)")
                }
                // kill(2)'s question whether there is anybody.
                #expect(try host.command("kill", host.id, "0").code == 0)
                #expect(try host.command("kill", host.id).code == 0)
                #expect(try run.finish().code == 0)
                #expect(
                    try host.command("kill", host.id, "0").err == "kvm-runtime: container does not exist: \(host.id)\n")
            }
        }
    }
}

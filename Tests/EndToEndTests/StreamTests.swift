import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// stdin, stdout and stderr of `run`: byte by byte, and to the last of them.
    @Suite struct Streams {
        /// Every byte there is, in an order that no text layer survives, without a newline at the end.
        private static let everyByte = (0..<1024).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) } + [10, 13, 10, 0]

        @Test func everyByteArrivesOnItsOwnStream() throws {
            try Host.use { host in
                let bundle = try host.bundle("cat; cat /other >&2")
                try Files.write(bundle.rootfs + "/other", Array(Self.everyByte.reversed()))
                let run = try host.starting(bundle, stdin: .pipe)
                run.write(Self.everyByte)
                run.closeInput()
                let outcome = try run.finish()
                #expect(outcome.status == .exited(code: 0))
                #expect(outcome.stdout == Self.everyByte)
                #expect(outcome.stderr == Array(Self.everyByte.reversed()))
            }
        }

        @Test func muchPassesInBothDirections() throws {
            var bytes = [UInt8](repeating: 0, count: 32 << 20)
            var value: UInt32 = 1
            for index in bytes.indices {
                value = value &* 1_664_525 &+ 1_013_904_223
                bytes[index] = UInt8(truncatingIfNeeded: value >> 24)
            }
            try Host.use { host in
                let run = try host.starting(try host.bundle("cat"), stdin: .pipe)
                run.write(bytes)
                run.closeInput()
                let outcome = try run.finish()
                #expect(outcome.code == 0)
                #expect(outcome.stdout.count == bytes.count)
                // Not in the expectation: it would print both.
                let isSame = outcome.stdout == bytes
                #expect(isSame, "the bytes differ")
            }
        }

        @Test(arguments: ["nothing", "/dev/null", "a file", "a pipe"])
        func endOfInputReachesTheContainer(kind: String) throws {
            try Host.use { host in
                let bundle = try host.bundle("wc -c; echo end")
                try Files.write(host.directory + "/input", String(repeating: "x", count: 70_000))
                let inputs: [String: (Input, Int)] = [
                    "nothing": (.closed, 0), "/dev/null": (.null, 0),
                    "a file": (.file(host.directory + "/input"), 70_000),
                    "a pipe": (.pipe, 5),
                ]
                let (input, count) = try #require(inputs[kind])
                let run = try host.starting(bundle, stdin: input)
                run.write("12345")
                run.closeInput()
                let outcome = try run.finish()
                #expect(outcome.lines == ["\(count)", "end"])
                #expect(outcome.status == .exited(code: 0))
            }
        }

        @Test func inputIsDeliveredWhileTheContainerRuns() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("while read line; do echo \"<$line>\"; done"), stdin: .pipe)
                for word in ["one", "two"] {
                    run.write(word + "\n")
                    try run.wait(forOutput: "<\(word)>")
                }
                run.closeInput()
                #expect(try run.finish().out == "<one>\n<two>\n")
            }
        }

        @Test func containerMayCloseItsInput() throws {
            try Host.use { host in
                let bundle = try host.bundle("read line; exec 0<&-; echo \"$line\"; sleep 0.3; echo end")
                let run = try host.starting(bundle, stdin: .pipe)
                run.write("first\n" + String(repeating: "nobody reads this\n", count: 60_000))
                run.closeInput()
                let outcome = try run.finish()
                #expect(outcome.out == "first\nend\n")
                #expect(outcome.code == 0)
            }
        }

        @Test func readerThatGoesAwayEndsTheWriter() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("yes; echo \"yes ended with $?\" >&2"))
                try run.wait(forOutput: "y\ny\ny\n")
                run.closeOutput()
                let outcome = try run.finish()
                // 128 + SIGPIPE
                #expect(outcome.err == "yes ended with 141\n")
                #expect(outcome.code == 0)
            }
        }

        @Test func slowReaderLosesNothing() throws {
            try Host.use { host in
                let numbers = (1...600_000).map { "\($0)\n" }.joined()
                let bundle = try host.bundle("cat /numbers; echo end >&2")
                try Files.write(bundle.rootfs + "/numbers", numbers)
                let run = try host.starting(bundle)
                try run.wait(forOutput: "1\n2\n")
                run.pausesReading = true
                let pause = Deadline(seconds: 1)
                try run.wait("the pause", until: .patient) { pause.hasPassed }
                // It can't be done: more than the pipes and sockets on the way can hold is still to come.
                #expect(run.isRunning)
                #expect(run.err.isEmpty)
                run.pausesReading = false
                let outcome = try run.finish()
                // Not in the expectation: it would print both.
                let isSame = outcome.out == numbers
                #expect(isSame, "\(outcome.stdout.count) bytes instead of \(numbers.utf8.count), or others")
                #expect(outcome.err == "end\n")
            }
        }

        @Test(arguments: 1...5) func lastOutputIsNotLost(round: Int) throws {
            try Host.use { host in
                let outcome = try host.run(
                    "head -c 200000 /dev/zero | tr '\\0' x; echo last >&2; echo; exec printf '%s' end")
                #expect(outcome.stdout.count == 200_004)
                #expect(outcome.out.hasSuffix("x\nend"))
                #expect(outcome.err == "last\n")
                #expect(outcome.code == 0)
            }
        }

        /// Closed descriptors are not taken for others that are opened later.
        @Test func closedStreamsAreNothing() throws {
            try Host.use { host in
                let run = try host.starting(
                    try host.bundle("wc -c; echo out; echo err >&2; exit 5"), stdin: .closed, stdout: .closed,
                    stderr: .closed)
                #expect(try run.finish().code == 5)
                let log = (try? Files.text(host.log)) ?? ""
                #expect(!log.contains("out\n") && !log.contains("err\n"), "\(log)")
            }
        }

        @Test func outputToFilesAndToNothing() throws {
            try Host.use { host in
                let file = try FileDescriptor.open(host.directory + "/out", O_WRONLY | O_CREAT, mode: 0o600)
                // An offset that is not 0: the container's output goes where the caller's would.
                try file.writeAll(Array("before ".utf8))
                let null = try FileDescriptor.open("/dev/null", O_WRONLY)
                let run = try host.starting(
                    try host.bundle("echo out; echo err >&2"), stdout: .descriptor(file.raw),
                    stderr: .descriptor(null.raw))
                #expect(try run.finish().code == 0)
                #expect(try Files.text(host.directory + "/out") == "before out\n")
            }
        }
    }
}

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What a supervisor owes to those who ask it, when something else does not do its part: a reader, a disk, a command,
    /// a guest.
    @Suite struct Supervisors {
        // MARK: Output that nobody takes

        /// A container whose init has ended, and whose output is on its way to somebody who does not read.
        private func undelivered(_ host: Host, bytes: Int) throws -> Running {
            let bundle = try host.bundle("head -c \(bytes) /dev/zero")
            let create = try host.start(["create", "--bundle", bundle.path, host.id])
            create.pausesReading = true
            #expect(try create.finish(readingToTheEnd: false).code == 0)
            #expect(try host.command("start", host.id).code == 0)
            let ended = try eventually(within: 60) {
                try host.command("ps", host.id).err == "kvm-runtime: container not running\n"
            }
            #expect(ended)
            return create
        }

        @Test func runsUntilItsOutputIsDelivered() throws {
            try Host.use { host in
                let create = try undelivered(host, bytes: 300_000)
                #expect(try host.status() == "running")
                let early = try host.command("delete", host.id)
                #expect(early.code == 1)
                #expect(early.err == "kvm-runtime: cannot delete container \(host.id) that is not stopped: running\n")
                // One who waits for a reader may take no notice of it.
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                #expect(try host.status() == "running")
                create.pausesReading = false
                #expect(try create.finish().stdout.count == 300_000)
                #expect(eventually(within: 20) { (try? host.status()) == "stopped" })
                #expect(try host.command("kill", host.id, "TERM").err == "kvm-runtime: container not running\n")
                #expect(try host.command("delete", host.id).code == 0)
            }
        }

        @Test(arguments: [["kill", "KILL"], ["kill", "--all", "KILL"], ["delete", "--force"]])
        func canBeEndedBeforeItsOutputIsDelivered(words: [String]) throws {
            try Host.use { host in
                let create = try undelivered(host, bytes: 300_000)
                let standIn = try #require(try host.processes()["stand-in"])
                let command = words[0] == "kill" ? words.dropLast() + [host.id, "KILL"] : words + [host.id]
                #expect(try host.start(Array(command)).finish().code == 0)
                #expect(eventually(within: 5) { Processes.state(of: standIn) ?? "Z" == "Z" })
                if words[0] == "kill" {
                    #expect(try host.status() == "stopped")
                    #expect(try host.command("delete", host.id).code == 0)
                }
                create.pausesReading = false
                #expect(try create.finish().stdout.count < 300_000)
            }
        }

        /// What a killed process had not got rid of is lost with runc too.
        @Test func killedWriterEndsWithoutAReader() throws {
            try Host.use { host in
                let create = try host.start(["create", "--bundle", try host.bundle("yes").path, host.id])
                create.pausesReading = true
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                #expect(try host.command("start", host.id).code == 0)
                usleep(500_000)
                let standIn = try #require(try host.processes()["stand-in"])
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(eventually(within: 4) { (try? host.status()) == "stopped" })
                let hasEnded = eventually(within: 20) { Processes.state(of: standIn) ?? "Z" == "Z" }
                try #require(hasEnded)
                #expect(try Processes.wait(standIn) == .exited(code: 128 + SIGKILL))
                #expect(try host.command("delete", host.id).code == 0)
                create.pausesReading = false
                _ = try create.finish()
            }
        }

        // MARK: The end

        /// As with runc, where the init of a deleted container is killed.
        @Test func deletedContainerWasKilled() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo ready; sleep 100"))
                try run.wait(forOutput: "ready")
                #expect(try host.command("delete", "--force", host.id).code == 0)
                let outcome = try run.finish()
                #expect(outcome.code == 128 + SIGKILL && outcome.err.isEmpty, "\(outcome)")

                for isStarted in [true, false] {
                    let create = try host.start(["create", "--bundle", try host.bundle("sleep 100").path, host.id])
                    #expect(try create.finish(readingToTheEnd: false).code == 0)
                    if isStarted { #expect(try host.command("start", host.id).code == 0) }
                    let standIn = try #require(try host.processes()["stand-in"])
                    #expect(try host.command("delete", "--force", host.id).code == 0)
                    #expect(try Processes.wait(standIn) == .exited(code: 128 + SIGKILL))
                }
            }
        }

        // MARK: Answers

        /// More than a socket holds at one time.
        @Test func manyProcessesAreListed() throws {
            try Host.use { host in
                let script =
                    "exec 3<&0; i=0; while [ $i -lt 400 ]; do (read x <&3) & i=$((i+1)); done; echo ready; wait"
                let bundle = try host.bundle(script) {
                    $0.append("process.args", .string(String(repeating: "a", count: 900)))
                }
                let run = try host.starting(bundle, stdin: .pipe)
                try run.wait(forOutput: "ready")
                for _ in 0..<3 {
                    let list = try host.start(["ps", host.id, "-o", "pid,args"]).finish(until: Deadline(seconds: 30))
                    #expect(list.code == 0 && list.err.isEmpty, "\(list.code) \(list.err)")
                    #expect(list.lines.count == 402)
                }
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(try run.finish().code == 128 + SIGKILL)
            }
        }
    }
}

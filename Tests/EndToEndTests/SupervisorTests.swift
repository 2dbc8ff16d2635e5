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
                #expect(eventually(within: 10) { (try? host.status()) == "stopped" })
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
                    // Who removes its cgroup may come first.
                    let code = try Processes.wait(standIn).shellCode
                    #expect(code == 128 + SIGKILL)
                }
            }
        }

        /// There is nobody left to tell of the hooks, and so there will be no container.
        @Test func createThatIsKilledDuringItsHooksLeavesNothing() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo never") {
                    $0.set(
                        "hooks", ["createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", "sleep 5"]]]])
                }
                let create = try host.start(
                    ["create", "--bundle", bundle.path, host.id], stdout: .closed, stderr: .closed)
                #expect(eventually(within: 20) { (try? host.status()) == "creating" })
                usleep(1_500_000)
                create.kill()
                #expect(eventually(within: 3) { (try? host.state()) == .some(nil) })
                #expect(host.isClean(within: 10), "\(Leaks.find(root: host.root, directory: host.directory))")
            }
        }

        // MARK: Answers

        /// What a command says to a supervisor, without the command.
        private func connect(_ host: Host, _ request: JSONValue) throws -> SharedDescriptor {
            let directory = try FileDescriptor.directory("\(host.root)/\(host.id)")
            let socket = SharedDescriptor(try Sockets.connect(to: "control.sock", in: directory, .packets))
            try Sockets.send(request.bytes(), descriptors: [], over: socket.descriptor)
            return socket
        }

        private func receive(_ socket: SharedDescriptor) throws -> JSONValue {
            let (bytes, _) = try Sockets.receiveMessage(upTo: 1 << 17, descriptors: 0, from: socket.descriptor)
            return try JSONValue.parse(bytes)
        }

        /// More than a socket holds at one time, and somebody who takes his time.
        @Test func manyProcessesAreListed() throws {
            try Host.use { host in
                let script =
                    "exec 3<&0; i=0; while [ $i -lt 400 ]; do (read x <&3) & i=$((i+1)); done; echo ready; wait"
                let bundle = try host.bundle(script) {
                    $0.append("process.args", .string(String(repeating: "a", count: 900)))
                }
                let run = try host.starting(bundle, stdin: .pipe)
                try run.wait(forOutput: "ready")
                let socket = try connect(host, ["request": "processes"])
                usleep(2_000_000)
                // That it waits for ever would be seen only by who does not.
                try socket.descriptor.setNonBlocking()
                var count = 0
                while true {
                    let event = try receive(socket)
                    if event["event"] == "done" { break }
                    count += event["value"]?.elements.count ?? 0
                    usleep(20_000)
                }
                #expect(count == 401)
                let list = try host.start(["ps", host.id, "-o", "pid,args"]).finish(until: Deadline(seconds: 30))
                #expect(list.code == 0 && list.err.isEmpty, "\(list.code) \(list.err)")
                #expect(list.lines.count == 402)
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(try run.finish().code == 128 + SIGKILL)
            }
        }

        /// Somebody who asked for a process and has none speaks of that process all the same.
        @Test func signalsOfAFailedExecAreNotTheInits() throws {
            try Host.use { host in
                let run = try host.starting(
                    try host.bundle("trap 'echo hit' TERM; echo ready; while :; do sleep 0.1; done"))
                try run.wait(forOutput: "ready")
                // Without the plan that belongs to it.
                let socket = try connect(
                    host,
                    [
                        "request": "exec", "ignorePaused": false, "terminal": false, "rows": 0, "columns": 0,
                        "cgroup": [], "passed": [],
                    ])
                let refusal = try receive(socket)
                #expect(refusal["message"] == "the process's plan did not arrive")
                let signal: JSONValue = ["request": "signal", "signal": .integer(Int64(SIGTERM)), "all": false]
                try Sockets.send(signal.bytes(), descriptors: [], over: socket.descriptor)
                usleep(700_000)
                try run.look()
                #expect(!run.out.contains("hit"))
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                try run.wait(forOutput: "hit")
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(try run.finish().code == 128 + SIGKILL)
            }
        }

        // MARK: A full disk

        /// A file system of its own for the state, and a container whose output goes on and on.
        private func withSmallRoot(_ body: (Host, Bundle) throws -> Void) throws {
            try Host.use { host in
                try File.makeDirectories(host.root, mode: 0o711)
                _ = try once { mount("tmpfs", host.root, "tmpfs", 0, "size=200k,mode=711") }
                defer { umount2(host.root, CInt(MNT_DETACH)) }
                try body(host, try host.bundle("trap 'exit 0' TERM; while :; do echo x; sleep 0.05; done"))
            }
        }

        private func fill(_ host: Host) throws {
            let file = try FileDescriptor.open(host.root + "/filler", O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
            let error = #expect(throws: Errno.self) {
                while true { try file.writeAll([UInt8](repeating: 1, count: 4096)) }
            }
            #expect(error?.rawValue == ENOSPC)
        }

        private func end(_ host: Host, _ run: Running) throws {
            #expect(try host.command("kill", host.id, "TERM").code == 0)
            #expect(eventually(within: 20) { (try? host.status()) == "stopped" })
            _ = try run.finish()
            #expect(try host.command("delete", host.id).code == 0)
        }

        private func goesOn(_ run: Running) throws {
            try run.look()
            let count = run.out.count
            try run.wait("more output", until: Deadline(seconds: 20)) { run.out.count > count }
        }

        @Test func fullDiskHasRoomForAContainersStatus() throws {
            try withSmallRoot { host, bundle in
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                try fill(host)
                #expect(try host.command("start", host.id).code == 0)
                #expect(try host.status() == "running")
                for _ in 0..<3 {
                    #expect(try host.command("pause", host.id).code == 0)
                    #expect(try host.status() == "paused")
                    #expect(try host.command("resume", host.id).code == 0)
                    #expect(try host.status() == "running")
                }
                try goesOn(create)
                try end(host, create)
            }
        }

        /// Somebody has taken even that room.
        @Test func containerOutlivesARecordThatCannotBeWritten() throws {
            try withSmallRoot { host, bundle in
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                let place = "\(host.root)/\(host.id)"
                for name in try File.list(place) where name.hasPrefix(".") { unlink("\(place)/\(name)") }
                try fill(host)
                #expect(try host.command("start", host.id).code == 0)
                try goesOn(create)
                // What nobody could see is not the case.
                let pause = try host.command("pause", host.id)
                #expect(pause.code == 1 && pause.complaints.count == 1, "\(pause.err)")
                #expect(pause.err.contains("No space left on device"), "\(pause.err)")
                try goesOn(create)
                unlink(host.root + "/filler")
                #expect(eventually(within: 10) { (try? host.status()) == "running" })
                #expect(try host.command("pause", host.id).code == 0)
                #expect(try host.command("resume", host.id).code == 0)
                try end(host, create)
            }
        }

        // MARK: A guest that does not answer

        /// A container whose guest stands still.
        private func withStuckGuest(_ body: (Host, Running, pid_t) throws -> Void) throws {
            try Host.use { host in
                let run = try host.starting(
                    try host.bundle("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done"))
                try run.wait(forOutput: "ready")
                let qemu = try #require(try host.processes()["qemu"])
                kill(qemu, SIGSTOP)
                defer { kill(qemu, SIGCONT) }
                try body(host, run, qemu)
            }
        }

        @Test(arguments: [[], ["--all"]])
        func killEndsAGuestThatDoesNotAnswer(options: [String]) throws {
            try withStuckGuest { host, run, _ in
                let kill = try host.start(["kill"] + options + [host.id, "KILL"]).finish(until: Deadline(seconds: 10))
                #expect(kill.code == 0 && kill.err.isEmpty, "\(kill.err)")
                #expect(try run.finish(until: Deadline(seconds: 5)).code == 128 + SIGKILL)
            }
        }

        @Test func whoAsksAGuestThatDoesNotAnswerIsTold() throws {
            try withStuckGuest { host, run, qemu in
                let commands = [
                    ["kill", host.id, "USR1"], ["events", "--stats", host.id], ["ps", host.id], ["pause", host.id],
                    ["update", "--pids-limit", "77", host.id], ["exec", host.id, "echo", "late"],
                ]
                let asking = try commands.map { try host.start($0) }
                for (command, asked) in zip(commands, asking) {
                    let outcome = try asked.finish(until: Deadline(seconds: 40))
                    #expect(outcome.code == (command[0] == "exec" ? 255 : 1))
                    #expect(outcome.err == "kvm-runtime: the guest of \(host.id) does not answer\n", "\(command)")
                    #expect(outcome.out.isEmpty)
                }
                kill(qemu, SIGCONT)
                // Late answers do no harm, and what was given up is not there.
                let exec = try host.command("exec", host.id, "echo", "in time")
                #expect(exec.out == "in time\n", "\(exec)")
                #expect(try host.status() == "running")
                #expect(try host.command("pause", host.id).code == 0)
                #expect(try host.command("resume", host.id).code == 0)
                #expect(try host.command("ps", host.id).lines.contains { $0.contains("late") } == false)
                #expect(try host.command("kill", host.id, "KILL").code == 0)
                #expect(try run.finish().code == 128 + SIGKILL)
            }
        }
    }
}

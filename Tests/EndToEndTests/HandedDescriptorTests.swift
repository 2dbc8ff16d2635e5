import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// `--preserve-fds` and LISTEN_FDS: descriptors of the caller's, as a guest can have them.
    @Suite struct HandedDescriptors {
        private func running(_ host: Host, _ edit: (inout JSONValue) -> Void = { _ in }) throws -> Running {
            let run = try host.starting(
                try host.bundle("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done", edit))
            try run.wait(forOutput: "ready")
            return run
        }

        private func end(_ host: Host, _ run: Running) throws {
            #expect(try host.command("kill", host.id, "TERM").code == 0)
            #expect(try run.finish().code == 0)
        }

        /// A pipe, each end of which the test lets go of when a program has it.
        private final class Ends {
            var reader: SharedDescriptor?
            var writer: SharedDescriptor?
            let numbers: (reader: CInt, writer: CInt)

            init() throws {
                let pipe = try Pipes.make()
                let reader = SharedDescriptor(try pipe.reader.duplicate())
                let writer = SharedDescriptor(try pipe.writer.duplicate())
                numbers = (reader.raw, writer.raw)
                (self.reader, self.writer) = (reader, writer)
            }
        }

        @Test(
            "pipes, files, a folder, a device; not a byte is lost when the process ends",
            .enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason))
        func pipesAndFiles() throws {
            try Host.use { host in
                let run = try running(host)
                let input = try Ends()
                try input.writer?.descriptor.writeAll(Array("from the host\n".utf8))
                let output = try Ends()
                try Files.write(host.directory + "/read", "0123456789")
                try Files.write(host.directory + "/appended", "first\n")
                let file = try FileDescriptor.open(host.directory + "/read", O_RDONLY)
                _ = lseek(file.raw, 4, SEEK_SET)
                let appended = try FileDescriptor.open(host.directory + "/appended", O_WRONLY | O_APPEND)
                let folder = try FileDescriptor.open(host.directory, O_RDONLY | O_DIRECTORY)
                let zero = try FileDescriptor.open("/dev/zero", O_RDONLY)
                let script =
                    "cat <&3; cat <&5; echo; echo second >&6; ls /proc/self/fd/7/ | grep appended; ls /proc/self/fd/7/../ | grep appended; head -c 2 <&8 | wc -c; "
                    + "echo no >&5; ls /proc/self/fd | wc -l; head -c 200000 /dev/zero >&4"
                let exec = try host.start(
                    ["exec", "--preserve-fds", "6", host.id, "sh", "-c", script],
                    handing: [
                        3: input.numbers.reader, 4: output.numbers.writer, 5: file.raw, 6: appended.raw, 7: folder.raw,
                        8: zero.raw,
                    ])
                input.writer = nil
                output.writer = nil
                let reader = try #require(output.reader)
                try reader.descriptor.setNonBlocking()
                var count = 0
                var isOpen = true
                try exec.wait("the pipe's end") {
                    while isOpen {
                        do throws(Errno) {
                            let part = try reader.descriptor.read(upTo: 1 << 16)
                            count += part.count
                            isOpen = !part.isEmpty
                        } catch .wouldBlock { return false }
                    }
                    return true
                }
                let outcome = try exec.finish()
                #expect(count == 200_000)
                // 0 to 8, and the folder that ls has open.
                #expect(outcome.lines == ["from the host", "456789", "appended", "appended", "2", "10"], "\(outcome)")
                #expect(outcome.err.contains("write error") && outcome.code == 0, "\(outcome)")
                let read = try File.read(host.directory + "/appended", limit: 100)
                #expect(String(decoding: read, as: UTF8.self) == "first\nsecond\n")
                try end(host, run)
            }
        }

        @Test("a connected socket, both ways and with its ends; of a detached process too")
        func sockets() throws {
            try Host.use { host in
                let run = try running(host)
                for detached in [false, true] {
                    let (first, second) = try Sockets.pair().split()
                    let ours = SharedDescriptor(FileDescriptor(owning: first))
                    var theirs: SharedDescriptor? = SharedDescriptor(FileDescriptor(owning: second))
                    let exec = try host.start(
                        ["exec"] + (detached ? ["--detach"] : [])
                            + ["--preserve-fds", "1", host.id, "sh", "-c", "echo \"got: $(cat <&3)\" >&3; exit 3"],
                        handing: [3: second])
                    withExtendedLifetime(theirs) {}
                    theirs = nil
                    try ours.descriptor.writeAll(Array("question".utf8))
                    try Sockets.shutdownWriting(ours.descriptor)
                    let answer = try ours.descriptor.readAll(limit: 1000)
                    #expect(String(decoding: answer, as: UTF8.self) == "got: question\n")
                    #expect(try exec.finish().code == (detached ? 0 : 3))
                }
                try end(host, run)
            }
        }

        @Test(
            "of a container's init: with run, with create and start, in a user namespace",
            .enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason))
        func initHasThem() throws {
            try Host.use { host in
                for (created, mapped) in [(false, false), (true, false), (false, true)] {
                    let id = host.id + (created ? "-created" : "")
                    let input = try Ends()
                    let output = try Ends()
                    let bundle = try host.bundle("cat <&3 >&4; head -c 1 <&5; echo done") {
                        guard mapped else { return }
                        $0.append("linux.namespaces", ["type": "user"])
                        $0.append("linux.namespaces", ["type": "cgroup"])
                        for map in ["linux.uidMappings", "linux.gidMappings"] {
                            $0.set(map, [["containerID": 0, "hostID": 100_000, "size": 65536]])
                        }
                    }
                    let file = try FileDescriptor.open(host.directory + "/file", O_RDWR | O_CREAT, mode: 0o644)
                    try file.writeAll(Array("a:".utf8))
                    _ = lseek(file.raw, 0, SEEK_SET)
                    let run = try host.start(
                        (created ? ["create"] : ["run"]) + ["--preserve-fds", "3", "--bundle", bundle.path, id],
                        handing: [3: input.numbers.reader, 4: output.numbers.writer, 5: file.raw])
                    output.writer = nil
                    if created {
                        #expect(try run.finish(readingToTheEnd: false).code == 0)
                        #expect(try host.command("start", id).code == 0)
                    }
                    try input.writer?.descriptor.writeAll(Array("through\n".utf8))
                    input.writer = nil
                    // Its end is that of the container, not of the command.
                    let read = try output.reader?.descriptor.readAll(limit: 1000) ?? []
                    #expect(String(decoding: read, as: UTF8.self) == "through\n")
                    let outcome = try run.finish()
                    #expect(outcome.out == "adone\n", "\(outcome)")
                    if created { #expect(try host.command("delete", "--force", id).code == 0) }
                }
            }
        }

        @Test(
            "a fifo whose writer has gone before it was looked at comes to its end, as stdin too",
            arguments: [false, true])
        func fifo(isInput: Bool) throws {
            try Host.use { host in
                let path = host.directory + "/fifo"
                #expect(mkfifo(path, 0o600) == 0)
                let reader = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
                try FileDescriptor.open(path, O_WRONLY).writeAll(Array("left\n".utf8))
                try reader.setNonBlocking(false)
                let bundle = try host.bundle("cat <&\(isInput ? 0 : 3); echo end")
                let run = try host.start(
                    ["run", "--preserve-fds", isInput ? "0" : "1", "--bundle", bundle.path, host.id],
                    stdin: isInput ? .descriptor(reader.raw) : .null, handing: isInput ? [:] : [3: reader.raw])
                let outcome = try run.finish()
                #expect(outcome.out == "left\nend\n" && outcome.code == 0, "\(outcome)")
            }
        }

        /// A container that was handed a socket to listen on, as systemd does it, and a connection to that.
        private func listening(
            _ host: Host, _ arguments: [JSONValue] = [], _ body: (Running, SharedDescriptor) throws -> Void
        ) throws {
            let bundle = try host.bundle(nil) { $0.set("process.args", .array(["/bin/accept-one"] + arguments)) }
            try bundle.install("accept-one")
            let directory = try FileDescriptor.directory(host.directory)
            let socket = SharedDescriptor(try Sockets.listen(at: "listen.sock", in: directory))
            // The number that LISTEN_PID must have is known to nobody before the command has it.
            let run = try Running(
                "/bin/sh",
                [
                    "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"", Build.binary, "--root", host.root,
                ] + host.globals.dropFirst(2) + ["run", "--bundle", bundle.path, host.id],
                handing: [3: socket.raw])
            defer { run.kill() }
            // Nobody takes it yet: it waits in the kernel.
            let client = SharedDescriptor(try Sockets.connect(to: host.directory + "/listen.sock"))
            try run.wait(forOutput: "listening")
            try client.descriptor.writeAll(Array("ping".utf8))
            try body(run, client)
            withExtendedLifetime(client) {}
        }

        @Test("a socket to listen on, as systemd hands it over")
        func socketActivation() throws {
            try Host.use { host in
                try listening(host) { run, client in
                    let answer = try client.descriptor.readAll(limit: 100)
                    #expect(String(decoding: answer, as: UTF8.self) == "pong: ping")
                    #expect(try run.finish().code == 0)
                }
            }
        }

        @Test("whoever is connected to it and takes nothing keeps no container from ending")
        func listeningToNobody() throws {
            try Host.use { host in
                try listening(host, ["flood"]) { run, client in
                    // Until nothing fits any more.
                    usleep(1_000_000)
                    let kill = try host.command("kill", host.id, "KILL")
                    let outcome = try run.finish()
                    #expect(kill.code == 0 && outcome.code == 137, "\(kill) \(outcome)")
                    withExtendedLifetime(client) {}
                }
            }
        }

        @Test("what can't be handed over is named, before anything is made")
        func refusals() throws {
            try Host.use { host in
                let bundle = try host.bundle("true")
                let path = host.directory + "/gone"
                try Files.write(path, "x")
                let gone = try FileDescriptor.open(path, O_RDONLY)
                unlink(path)
                let terminal = try OuterTerminal(rows: 24, columns: 80)
                let packets = try Sockets.pair(.packets)
                mkfifo(host.directory + "/fifo", 0o600)
                let fifo = try FileDescriptor.open(host.directory + "/fifo", O_RDWR)
                let cases: [(CInt, String)] = [
                    (gone.raw, "it is a file without a name"), (terminal.slave.raw, "it is a terminal"),
                    (packets.first.raw, "it is no stream socket"),
                    (fifo.raw, "it is a fifo that is open for reading and writing at once"),
                ]
                for (number, reason) in cases {
                    let outcome = try host.start(
                        ["run", "--preserve-fds", "1", "--bundle", bundle.path, host.id], handing: [3: number]
                    ).finish()
                    #expect(outcome.code == 1)
                    #expect(
                        outcome.err.contains(
                            "--preserve-fds: descriptor 3 can't be handed into a guest: \(reason)"), "\(outcome)")
                    #expect(outcome.complaints.count == 1, "\(outcome)")
                }
                let missing = try host.command(
                    "run", "--preserve-fds", "1", "--bundle", bundle.path, host.id)
                #expect(missing.code == 1 && missing.err.contains("descriptor 3 is not open"), "\(missing)")
                withExtendedLifetime(packets) {}
            }
        }

        @Test("exec --cgroup: a cgroup below the container's")
        func subCgroup() throws {
            try Host.use { host in
                let run = try running(host) {
                    $0.append("linux.namespaces", ["type": "cgroup"])
                    $0.set(
                        "mounts",
                        (try? JSONValue.parse(
                            Array(
                                #"""
                                [{"destination":"/proc","type":"proc","source":"proc"},
                                 {"destination":"/dev","type":"tmpfs","source":"tmpfs"},
                                 {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup"}]
                                """#.utf8))) ?? [])
                }
                #expect(try host.command("exec", host.id, "mkdir", "-p", "/sys/fs/cgroup/one/two").code == 0)
                for path in ["one/two", "/one/two/"] {
                    let place = try host.command("exec", "--cgroup", path, host.id, "cat", "/proc/self/cgroup")
                    #expect(place.out == "0::/one/two\n" && place.code == 0, "\(place)")
                }
                try end(host, run)
            }
        }
    }
}

import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// process.terminal: a terminal in the guest that behaves as the one outside.
    @Suite struct Terminals {
        @Test func sizeResizeKeysAndEnd() throws {
            try Host.use { host in
                let terminal = try OuterTerminal(rows: 33, columns: 101)
                let before = try terminal.settings
                let script = """
                    trap 'echo "size $(stty size)."' WINCH; trap 'echo interrupted.' INT
                    tty; echo "size $(stty size)."; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo "all are terminals."
                    echo ready.
                    while [ ! -e /tmp/stop ]; do sleep 0.05; done
                    read line; echo "<$line>"; exit 7
                    """
                let bundle = try host.bundle(script, terminal: true)
                let run = try host.starting(bundle, on: terminal)
                try run.wait(for: "ready.", on: terminal)
                #expect(terminal.text.contains("/dev/pts/0\r\n") || terminal.text.contains("/dev/console\r\n"))
                #expect(terminal.text.contains("size 33 101.\r\n"))
                #expect(terminal.text.contains("all are terminals."))
                #expect(try !terminal.echoes, "the outer terminal is raw while the container has it")

                try terminal.resize(rows: 50, columns: 140)
                try run.wait(for: "size 50 140.", on: terminal)
                try terminal.type("\u{3}")
                try run.wait(for: "interrupted.", on: terminal)

                try Files.write(bundle.rootfs + "/tmp/stop", "")
                try terminal.type("hellö\r")
                try run.wait(for: "<hellö>", on: terminal)
                let outcome = try run.finish()
                #expect(outcome.code == 7)
                #expect(outcome.err.isEmpty)
                #expect(try terminal.settings == before)
            }
        }

        /// The default config.json as it is: an interactive shell.
        @Test func defaultConfigurationIsAShell() throws {
            try Host.use { host in
                let terminal = try OuterTerminal(rows: 24, columns: 80)
                let run = try host.starting(try host.bundle(terminal: true), on: terminal)
                try run.wait(for: "/ # ", on: terminal)
                try terminal.type("echo $((6 * 7)) in $(hostname) on $(tty)\r")
                try run.wait(for: "42 in runc on /dev/", on: terminal)
                #expect(!terminal.text.contains("job control turned off"), "the terminal is the shell's own")
                try terminal.type("exit 3\r")
                #expect(try run.finish().code == 3)
            }
        }

        @Test func settingsAreRestoredAfterASignal() throws {
            try Host.use { host in
                let terminal = try OuterTerminal(rows: 24, columns: 80)
                let before = try terminal.settings
                let bundle = try host.bundle(
                    "trap 'exit 9' TERM; echo ready.; while :; do sleep 0.05; done", terminal: true)
                let run = try host.starting(bundle, on: terminal)
                try run.wait(for: "ready.", on: terminal)
                #expect(try terminal.settings != before)
                run.signal(SIGTERM)
                #expect(try run.finish().code == 9)
                #expect(try terminal.settings == before)
            }
        }

        @Test func settingsAreRestoredWhenTheGuestDies() throws {
            try Host.use { host in
                let terminal = try OuterTerminal(rows: 24, columns: 80)
                let before = try terminal.settings
                let run = try host.starting(try host.bundle("echo ready.; sleep 100", terminal: true), on: terminal)
                try run.wait(for: "ready.", on: terminal)
                try run.wait("the state") { try host.status() == "running" }
                kill(try #require(try host.processes()["qemu"]), SIGKILL)
                let outcome = try run.finish()
                #expect(outcome.code == 1)
                #expect(outcome.err.contains("qemu"))
                #expect(try terminal.settings == before)
            }
        }

        @Test func terminalIsNotThere() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("echo never", terminal: true))
                #expect(outcome.code == 1)
                #expect(outcome.complaints.count == 1)
                #expect(outcome.err.contains("process.terminal"))
            }
        }

        @Test func consoleSocketReceivesTheMaster() throws {
            try Host.use { host in
                let directory = try FileDescriptor.directory(host.directory)
                let listener = try Sockets.listen(at: "console", in: directory)
                let script = """
                    trap 'echo "size $(stty size)."' WINCH; tty; echo ready.
                    # A trap ends `read`.
                    while :; do read line && echo "<$line>"; [ "$line" = end ] && exit 6; done
                    """
                let bundle = try host.bundle(script, terminal: true) {
                    $0.set("process.consoleSize", ["height": 20, "width": 70])
                }
                let run = try host.starting(bundle, ["--detach", "--console-socket", host.directory + "/console"])
                let (master, name) = try Self.receiveMaster(listener, run)
                #expect(name.hasPrefix("/dev/pts/") || name == "/dev/ptmx")
                #expect(try run.finish(readingToTheEnd: false).code == 0)

                let console = Console(master)
                #expect(console.shows("ready."))
                try console.type("hello\r")
                #expect(console.shows("<hello>"))
                try Terminal.setSize(Terminal.Size(rows: 44, columns: 99), of: master.raw)
                #expect(console.shows("size 44 99."))
                let supervisor = try #require(try host.processes()["supervisor"])
                try console.type("end\r")
                #expect(console.shows("<end>"))
                #expect(eventually { (try? host.status()) == "stopped" })
                #expect(eventually(within: 5) { Processes.state(of: supervisor) == "Z" })
                #expect(try Processes.wait(supervisor) == .exited(code: 6))
                #expect(try host.command("delete", host.id).code == 0)
            }
        }

        @Test func consoleSocketsGoWithDetachOnly() throws {
            try Host.use { host in
                let bundle = try host.bundle("echo never", terminal: true)
                let detached = try host.run(bundle, ["--detach"])
                #expect(detached.code == 1)
                let reason = "cannot allocate tty if kvm-runtime will detach without setting console socket"
                #expect(detached.err == "kvm-runtime: \(reason)\n")
                let create = try host.command("create", "--bundle", bundle.path, host.id)
                #expect(create.code == 1 && create.err == detached.err)
                let words = "kvm-runtime: cannot use console socket if kvm-runtime will not detach or allocate tty\n"
                let foreground = try host.run(bundle, ["--console-socket", "/none"])
                #expect(foreground.code == 1 && foreground.err == words)
                let plain = try host.run(try host.bundle("echo never"), ["--detach", "--console-socket", "/none"])
                #expect(plain.code == 1 && plain.err == words)
                let absent = try host.run(bundle, ["--detach", "--console-socket", host.directory + "/none"])
                #expect(absent.code == 1)
                #expect(
                    absent.complaints == [
                        "kvm-runtime: --console-socket \(host.directory)/none: No such file or directory"
                    ])
            }
        }

        private static func receiveMaster(
            _ listener: borrowing FileDescriptor, _ run: Running
        ) throws -> (SharedDescriptor, String) {
            var connection: SharedDescriptor?
            let deadline = Deadline.patient
            while !deadline.hasPassed {
                if let connection {
                    if let received = try receive(connection) { return received }
                } else if let accepted = try Sockets.accept(listener) {
                    connection = SharedDescriptor(accepted)
                }
                usleep(10_000)
                try run.look()
                guard run.isRunning else { throw Trouble("run ended without a terminal: \(run.err)") }
            }
            throw Trouble("no terminal came over the console socket: \(run.err)")
        }

        /// A descriptor and its name; nil when there is none yet.
        private static func receive(_ connection: SharedDescriptor) throws -> (SharedDescriptor, String)? {
            var buffer = [UInt8](repeating: 0, count: 4096)
            var result: (SharedDescriptor, Int)?
            do {
                try buffer.withUnsafeMutableBytes { bytes in
                    let received = try Sockets.receive(into: bytes, room: 2, from: connection.descriptor)
                    guard received.descriptors.count == 1 else { throw Trouble("no single descriptor came") }
                    result = (received.descriptors[0], received.count)
                }
            } catch let error as Errno where error == .wouldBlock {
                return nil
            }
            return result.map { ($0.0, String(decoding: buffer[..<$0.1], as: UTF8.self)) }
        }
    }
}

/// The master of a terminal that came over a console socket.
private final class Console {
    private let master: SharedDescriptor
    private var shown: [UInt8] = []

    init(_ master: SharedDescriptor) {
        self.master = master
        try? master.descriptor.setNonBlocking()
    }

    func type(_ text: String) throws { try master.descriptor.writeAll(Array(text.utf8)) }

    func shows(_ text: String) -> Bool {
        eventually {
            while let bytes = try? master.descriptor.read(upTo: 65536), !bytes.isEmpty { shown += bytes }
            return String(decoding: shown, as: UTF8.self).contains(text)
        }
    }
}

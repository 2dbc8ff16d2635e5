import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// podman with a person at a terminal: `run -it` and `exec -it`.
    @Suite(.enabled(if: PodmanPlace.obstacle == nil, "\(PodmanPlace.obstacle ?? "")")) struct PodmanOnATerminal {
        /// Ends by itself when its terminal has shown what a terminal can.
        private static let script = """
            trap 'echo "size $(stty size)."' WINCH
            tty; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo "all are terminals."; echo "size $(stty size)."; echo ready.
            while [ ! -e /tmp/stop ]; do sleep 0.05; done
            exit 5
            """

        @Test func run() throws {
            try PodmanPlace.use { place in
                let terminal = try OuterTerminal(rows: 33, columns: 101)
                let before = try terminal.settings
                let run = try place.start(
                    [
                        "run", "-it", "--rm", "--name", "aa", "--network", "none", PodmanPlace.image, "sh", "-c",
                        Self.script,
                    ], on: terminal)
                try run.wait(for: "ready.\r\n", on: terminal)
                #expect(terminal.text.contains("/dev/pts/0\r\n"), "\(terminal.text)")
                #expect(terminal.text.contains("all are terminals.\r\n"), "\(terminal.text)")
                try run.wait(for: "size 33 101.\r\n", on: terminal)
                try resize(terminal, "size 50 140.\r\n", of: run)
                #expect(try place.podman("exec", "aa", "touch", "/tmp/stop").code == 0)
                #expect(try run.finish().code == 5)
                #expect(try terminal.settings == before)

                // The key is a signal of the terminal's in the container, for the process in its foreground.
                let sleep = try place.start(
                    ["run", "-it", "--rm", "--network", "none", PodmanPlace.image], on: terminal)
                try interruptASleep(sleep, terminal)
                try terminal.type("exit 6\r")
                #expect(try sleep.finish().code == 6)
                #expect(try terminal.settings == before)
            }
        }

        @Test func exec() throws {
            try PodmanPlace.use { place in
                #expect(try place.run("-d", "--name", "aa", command: "exec sleep 1000").code == 0)
                let terminal = try OuterTerminal(rows: 31, columns: 91)
                let before = try terminal.settings
                let script = try place.start(["exec", "-it", "aa", "sh", "-c", Self.script], on: terminal)
                try script.wait(for: "ready.\r\n", on: terminal)
                #expect(terminal.text.contains("/dev/pts/0\r\n"), "\(terminal.text)")
                #expect(terminal.text.contains("all are terminals.\r\n"), "\(terminal.text)")
                try script.wait(for: "size 31 91.\r\n", on: terminal)
                try resize(terminal, "size 44 120.\r\n", of: script)
                #expect(try place.podman("exec", "aa", "touch", "/tmp/stop").code == 0)
                #expect(try script.finish().code == 5)

                let shell = try place.start(["exec", "-it", "aa", "sh"], on: terminal)
                try interruptASleep(shell, terminal)
                try terminal.type("exit 6\r")
                #expect(try shell.finish().code == 6)

                // Without a shell it is the end of all.
                let sleep = try place.start(["exec", "-it", "aa", "sleep", "999"], on: terminal)
                try sleep.wait("the process to run") {
                    try place.podman("exec", "aa", "sh", "-c", "ps | grep '[s]leep 999'").code == 0
                }
                try terminal.type("\u{3}")
                #expect(try sleep.finish().code == 128 + SIGINT)
                #expect(try terminal.settings == before)
            }
        }

        /// Gives the terminal the size that `answer` names, and waits for the container to say so.
        private func resize(_ terminal: OuterTerminal, _ answer: String, of client: Running) throws {
            let numbers = answer.split { !$0.isNumber }.compactMap { UInt16($0) }
            try terminal.resize(rows: numbers[0], columns: numbers[1])
            try client.wait(for: answer, on: terminal)
        }

        /// Ctrl-C ends what runs in a shell, and not the shell.
        private func interruptASleep(_ shell: Running, _ terminal: OuterTerminal) throws {
            try shell.wait(for: "/ # ", on: terminal)
            try terminal.type("echo run$((1)); sleep 1000; echo not$((1))\r")
            try shell.wait(for: "run1\r\n", on: terminal)
            // sh forks between the two.
            usleep(300_000)
            try terminal.type("\u{3}")
            try shell.wait(for: "^C", on: terminal)
            try terminal.type("echo \"code $?.\"\r")
            try shell.wait(for: "code 130.\r\n", on: terminal)
            #expect(!terminal.text.contains("not1"), "\(terminal.text)")
        }
    }
}

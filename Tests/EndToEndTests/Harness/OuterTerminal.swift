import Glibc
import LinuxSys

/// A terminal of the test's, as a person's would be: the test has its master, programs get its slave.
final class OuterTerminal {
    let master: SharedDescriptor
    let slave: SharedDescriptor
    /// What programs wrote to it.
    private(set) var shown: [UInt8] = []

    init(rows: UInt16, columns: UInt16) throws {
        let master = try FileDescriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
        let name = try Terminal.unlock(master)
        slave = SharedDescriptor(try FileDescriptor.open(name, O_RDWR | O_NOCTTY))
        try master.setNonBlocking()
        self.master = SharedDescriptor(master)
        try resize(rows: rows, columns: columns)
    }

    var text: String { String(decoding: shown, as: UTF8.self) }

    func resize(rows: UInt16, columns: UInt16) throws {
        try Terminal.setSize(Terminal.Size(rows: rows, columns: columns), of: master.raw)
    }

    /// As if typed.
    func type(_ text: String) throws {
        let count = try master.descriptor.write(Array(text.utf8))
        guard count == text.utf8.count else { throw Trouble("the terminal did not take \(text)") }
    }

    func read() {
        while let bytes = try? master.descriptor.read(upTo: 65536), !bytes.isEmpty { shown += bytes }
    }

    /// Everything that `stty` could change.
    var settings: [UInt8] {
        get throws {
            var settings = termios()
            guard tcgetattr(slave.raw, &settings) == 0 else { throw Errno.current }
            return withUnsafeBytes(of: &settings) { Array($0) }
        }
    }

    var echoes: Bool {
        get throws {
            var settings = termios()
            guard tcgetattr(slave.raw, &settings) == 0 else { throw Errno.current }
            return settings.c_lflag & tcflag_t(ECHO | ICANON) != 0
        }
    }
}

extension Running {
    func wait(for text: String, on terminal: OuterTerminal) throws {
        try wait("\"\(text)\" on the terminal, which shows \(terminal.text.debugDescription)") {
            terminal.read()
            return terminal.text.contains(text)
        }
    }
}

extension Host {
    /// `run` with a terminal as its stdin and stdout, which is its session's. stderr goes to the test.
    func starting(_ bundle: Bundle, on terminal: OuterTerminal) throws -> Running {
        try start(["run", "--bundle", bundle.path, id], on: terminal)
    }
}

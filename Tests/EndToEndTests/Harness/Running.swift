import Glibc
import LinuxSys
import Spawn
import Testing

/// Where a program's standard input comes from.
enum Input {
    case null
    case closed
    /// A pipe whose other end the test holds; see `Running.write` and `Running.closeInput`.
    case pipe
    case file(String)
    case descriptor(CInt)
}

/// Where a program's output goes.
enum Sink {
    /// To the test.
    case collected
    case closed
    case descriptor(CInt)
}

/// What a program did.
struct Outcome: CustomStringConvertible {
    let status: ExitStatus
    let stdout: [UInt8]
    let stderr: [UInt8]

    /// As a shell says it.
    var code: Int32 { status.shellCode }
    var out: String { String(decoding: stdout, as: UTF8.self) }
    var err: String { String(decoding: stderr, as: UTF8.self) }
    /// For the messages of tests.
    var description: String { "\(status), stdout: \(out.debugDescription), stderr: \(err.debugDescription)" }
    var lines: [String] { out.split(separator: "\n").map(String.init) }
    /// stderr's lines without what the guest's console said.
    var complaints: [String] {
        err.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("  guest: ") }
    }
    var console: [String] { err.split(separator: "\n").map(String.init).filter { $0.hasPrefix("  guest: ") } }
}

/// A program that was started. Everything is done by the test's own thread: it reads, writes and waits in `pump`.
final class Running {
    /// Those whose ends have not been seen: they are waited for here, and by nobody else.
    private(set) nonisolated(unsafe) static var own: Set<pid_t> = []

    let pid: pid_t
    private let process: ChildProcess
    private let command: String
    private var status: ExitStatus? { didSet { if status != nil { Self.own.remove(pid) } } }
    private var input: SharedDescriptor?
    private var unwritten: [UInt8] = []
    private var closesInput = false
    private var pipes: [SharedDescriptor?] = [nil, nil]
    private var collected: [[UInt8]] = [[], []]
    /// Reads nothing while set, so that the pipe fills up.
    var pausesReading = false

    init(
        _ path: String, _ arguments: [String], stdin: Input = .null, stdout: Sink = .collected,
        stderr: Sink = .collected, handing more: [CInt: CInt] = [:]
    ) throws {
        command = ([path] + arguments).joined(separator: " ")
        var program = Program(path: path, arguments: arguments, descriptors: more)
        // What the program gets must stay open until it has been started.
        var held: [SharedDescriptor] = []
        switch stdin {
        case .closed: break
        case .null: held.append(SharedDescriptor(try FileDescriptor.open("/dev/null", O_RDONLY)))
        case .file(let file): held.append(SharedDescriptor(try FileDescriptor.open(file, O_RDONLY)))
        case .pipe:
            let pipe = try Pipes.make()
            held.append(SharedDescriptor(try pipe.reader.duplicate()))
            let writer = SharedDescriptor(try pipe.writer.duplicate())
            try writer.descriptor.setNonBlocking()
            input = writer
        case .descriptor(let number): program.descriptors[0] = number
        }
        if let first = held.first { program.descriptors[0] = first.raw }
        for (index, sink) in [stdout, stderr].enumerated() {
            switch sink {
            case .closed: break
            case .collected:
                let pipe = try Pipes.make()
                let writer = SharedDescriptor(try pipe.writer.duplicate())
                held.append(writer)
                program.descriptors[CInt(index + 1)] = writer.raw
                let reader = SharedDescriptor(try pipe.reader.duplicate())
                try reader.descriptor.setNonBlocking()
                pipes[index] = reader
            case .descriptor(let number): program.descriptors[CInt(index + 1)] = number
            }
        }
        process = try program.start()
        pid = process.pid
        Self.own.insert(pid)
    }

    var stdout: [UInt8] { collected[0] }
    var stderr: [UInt8] { collected[1] }
    var out: String { String(decoding: stdout, as: UTF8.self) }
    var err: String { String(decoding: stderr, as: UTF8.self) }
    var isRunning: Bool { status == nil }

    func signal(_ number: CInt) { process.send(number) }

    /// Bytes for stdin; they are written while the test waits for something.
    func write(_ bytes: [UInt8]) { unwritten += bytes }
    func write(_ text: String) { write(Array(text.utf8)) }

    /// The end of stdin, behind what is still to be written.
    func closeInput() { closesInput = true }

    /// Nobody reads the program's stdout any more.
    func closeOutput() { pipes[0] = nil }

    /// Takes what is there, without waiting.
    func look() throws { try pump(milliseconds: 0) }

    /// Waits until `condition` holds.
    func wait(_ what: String, until deadline: Deadline = .patient, _ condition: () throws -> Bool) throws {
        while try !condition() {
            if deadline.hasPassed {
                throw Trouble("\(command): waited in vain for \(what); stdout: \(out.suffix(2000)) stderr: \(err)")
            }
            if !isRunning, pipes[0] == nil, pipes[1] == nil {
                throw Trouble("\(command): ended (\(code)) before \(what); stdout: \(out.suffix(2000)) stderr: \(err)")
            }
            try pump(milliseconds: min(20, deadline.milliseconds))
        }
    }

    func wait(forOutput text: String) throws { try wait("\"\(text)\" on stdout") { out.contains(text) } }

    /// Waits for the end of the program, and, unless others hold its stdout and stderr, for the end of these.
    func finish(readingToTheEnd: Bool = true, until deadline: Deadline = .patient) throws -> Outcome {
        while isRunning || (readingToTheEnd && (pipes[0] != nil || pipes[1] != nil)) {
            if deadline.hasPassed {
                let state = isRunning ? "still runs" : "has ended, but its output is still open"
                kill()
                throw Trouble("\(command) \(state); stdout: \(out.suffix(2000)) stderr: \(err)")
            }
            try pump(milliseconds: min(100, deadline.milliseconds))
        }
        try pump(milliseconds: 0)
        return Outcome(status: status ?? .exited(code: -1), stdout: stdout, stderr: stderr)
    }

    /// Ends it, if it still runs.
    func kill() {
        guard isRunning else { return }
        process.send(SIGKILL)
        status = try? process.wait()
    }

    private var code: String { status.map { "\($0)" } ?? "running" }

    /// Moves what can be moved, and waits at most so long for something to happen.
    private func pump(milliseconds: CInt) throws {
        var waiting: [pollfd] = []
        if isRunning { waiting.append(pollfd(fd: process.raw, events: Int16(POLLIN), revents: 0)) }
        if let input, !unwritten.isEmpty { waiting.append(pollfd(fd: input.raw, events: Int16(POLLOUT), revents: 0)) }
        if !pausesReading {
            for pipe in pipes.compactMap(\.self) {
                waiting.append(pollfd(fd: pipe.raw, events: Int16(POLLIN), revents: 0))
            }
        }
        _ = poll(&waiting, nfds_t(waiting.count), milliseconds)
        feed()
        if !pausesReading { for index in pipes.indices { try drain(index) } }
        if isRunning { status = try process.poll()?.status }
    }

    private func feed() {
        while let input, !unwritten.isEmpty {
            do throws(Errno) {
                // In pieces: what is taken is cut off the front, which is a copy of the rest.
                let piece = Array(unwritten.prefix(1 << 20))
                unwritten.removeFirst(try input.descriptor.write(piece))
            } catch .wouldBlock {
                return
            } catch {
                // Nobody reads it any more.
                unwritten = []
                self.input = nil
            }
        }
        if closesInput, unwritten.isEmpty { input = nil }
    }

    private func drain(_ index: Int) throws {
        while let pipe = pipes[index] {
            do throws(Errno) {
                let bytes = try pipe.descriptor.read(upTo: 1 << 18)
                if bytes.isEmpty { pipes[index] = nil }
                collected[index] += bytes
            } catch .wouldBlock {
                return
            } catch .ioError {
                // The end of a terminal.
                pipes[index] = nil
            } catch {
                throw error
            }
        }
    }

    deinit {
        kill()
        Self.own.remove(pid)
    }
}

import Glibc
import LinuxSys
import Spawn

/// What a short program says, within a deadline.
enum ProgramOutput {
    enum Failure: Error, Equatable, CustomStringConvertible {
        case notStarted(SpawnError)
        case timedOut(milliseconds: UInt64)
        case failed(ExitStatus)
        case system(Errno)

        var description: String {
            switch self {
            case .notStarted(let error): "\(error)"
            case .timedOut(let milliseconds): "no answer within \(milliseconds) ms"
            case .failed(.exited(let code)): "ended with code \(code)"
            case .failed(.signaled(let signal)): "was killed by \(Signals.name(of: signal))"
            case .system(let error): "\(error)"
            }
        }
    }

    /// The first 4 KiB of the program's standard output, when it ends well in time. Later it is killed. One that says
    /// more than a pipe holds never ends, as nothing is read before its end.
    static func read(_ path: String, _ arguments: [String], milliseconds: UInt64) throws(Failure) -> String {
        let pipe = try makePipe()
        let status = try run(path, arguments, output: pipe.writer.raw, milliseconds: milliseconds)
        guard status == .exited(code: 0) else { throw .failed(status) }
        let output = (try? pipe.reader.read(upTo: 4096)) ?? []
        return String(decoding: output, as: UTF8.self)
    }

    private static func makePipe() throws(Failure) -> Pipes.Pair {
        do throws(Errno) {
            let pipe = try Pipes.make()
            try pipe.reader.setNonBlocking()
            return pipe
        } catch {
            throw .system(error)
        }
    }

    private static func run(
        _ path: String, _ arguments: [String], output: CInt, milliseconds: UInt64
    ) throws(Failure) -> ExitStatus {
        let deadline = Clock.monotonicNanoseconds() + milliseconds * 1_000_000
        let child = try start(path, arguments, output: output)
        do throws(Errno) {
            if try ended(child, before: deadline) { return try child.wait() }
            child.send(SIGKILL)
            // A program that even this does not end at once stays behind: the deadline is the deadline.
            if try ended(child, before: deadline + 50_000_000) { _ = try child.poll() }
        } catch {
            throw .system(error)
        }
        throw .timedOut(milliseconds: milliseconds)
    }

    private static func start(
        _ path: String, _ arguments: [String], output: CInt
    ) throws(Failure) -> ChildProcess {
        let null = try openNull()
        let descriptors: [CInt: CInt] = [0: null.raw, 1: output, 2: null.raw]
        do throws(SpawnError) {
            return try Program(path: path, arguments: arguments, descriptors: descriptors).start()
        } catch {
            throw .notStarted(error)
        }
    }

    private static func openNull() throws(Failure) -> FileDescriptor {
        do throws(Errno) { return try FileDescriptor.open("/dev/null", O_RDWR) } catch { throw .system(error) }
    }

    private static func ended(_ child: borrowing ChildProcess, before deadline: UInt64) throws(Errno) -> Bool {
        let now = Clock.monotonicNanoseconds()
        guard now < deadline else { return false }
        var wait = pollfd(fd: child.raw, events: Int16(POLLIN), revents: 0)
        let left = CInt(clamping: (deadline - now) / 1_000_000 + 1)
        return try retrying { poll(&wait, 1, left) } > 0
    }
}

import CLinux

extension rusage {
    fileprivate var processorTime: UInt64 {
        func microseconds(_ time: timeval) -> UInt64 { UInt64(time.tv_sec) &* 1_000_000 &+ UInt64(time.tv_usec) }
        return microseconds(ru_utime) &+ microseconds(ru_stime)
    }
}

/// How a process ended, as wait(2) tells it.
public enum ExitStatus: Equatable, Sendable {
    case exited(code: Int32)
    case signaled(signal: Int32)

    public init(waitStatus: CInt) {
        if clinux_signaled(waitStatus) != 0 {
            self = .signaled(signal: clinux_term_signal(waitStatus))
        } else {
            self = .exited(code: clinux_exit_status(waitStatus))
        }
    }

    /// What a shell says of it: the code, or 128 + the signal.
    public var shellCode: Int32 {
        switch self {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    }
}

/// Processes by pidfd, so that a number that was used again is never hit.
public struct ProcessDescriptor: ~Copyable, Sendable {
    public let pid: pid_t
    private let descriptor: FileDescriptor
    /// Becomes readable when the process has ended.
    public var raw: CInt { descriptor.raw }

    /// - Throws: `noSuchProcess` when there is none.
    public init(pid: pid_t) throws(Errno) {
        self.pid = pid
        descriptor = FileDescriptor(owning: try once { clinux_pidfd_open(pid, 0) })
    }

    public func send(_ signal: CInt) throws(Errno) { try ProcessSignal.send(signal, to: descriptor) }

    /// Waits for the end of the process, whoever's child it is; false when it still runs after `milliseconds`.
    public func waitForEnd(milliseconds: CInt) -> Bool {
        var waiting = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) == 1
    }
}

public enum ProcessSignal {
    /// Sends a signal through a pidfd.
    public static func send(_ signal: CInt, to pidfd: borrowing FileDescriptor) throws(Errno) {
        _ = try once { clinux_pidfd_send_signal(pidfd.raw, signal) }
    }
}

public enum Processes {
    /// Reaps one child that has ended: its pid and how it ended; nil when none has.
    /// - Parameter pid: a child, or -1 for any.
    public static func reap(_ pid: pid_t = -1) throws(Errno) -> (pid: pid_t, status: ExitStatus)? {
        var status: CInt = 0
        do throws(Errno) {
            let got = try retrying { waitpid(pid, &status, WNOHANG) }
            return got == 0 ? nil : (got, ExitStatus(waitStatus: status))
        } catch {
            if error.rawValue == ECHILD { return nil }
            throw error
        }
    }

    /// Waits for `pid`, a child.
    public static func wait(_ pid: pid_t) throws(Errno) -> ExitStatus { try waitForEnd(of: pid).status }

    /// How a child ended.
    public struct End: Equatable, Sendable {
        public let status: ExitStatus
        /// User and system time of the child and of the children that it waited for, in microseconds.
        public let processorTime: UInt64
    }

    /// Reaps `pid`, a child, if it has ended.
    public static func poll(_ pid: pid_t) throws(Errno) -> End? { try end(of: pid, options: WNOHANG) }

    /// Waits for `pid`, a child.
    public static func waitForEnd(of pid: pid_t) throws(Errno) -> End {
        guard let end = try end(of: pid, options: 0) else { throw .noSuchProcess }
        return end
    }

    private static func end(of pid: pid_t, options: CInt) throws(Errno) -> End? {
        var status: CInt = 0
        var usage = rusage()
        let got = try retrying { wait4(pid, &status, options, &usage) }
        return got == 0 ? nil : End(status: ExitStatus(waitStatus: status), processorTime: usage.processorTime)
    }

    /// User and system time of the calling process so far, in microseconds; without its children.
    public static var ownProcessorTime: UInt64 {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.processorTime
    }

    /// When the process was started, in clock ticks since boot (field 22 of proc(5) stat): with the pid it names one
    /// process for ever. nil when there is none.
    public static func startTime(of pid: pid_t) -> UInt64? { statField(of: pid, 19).flatMap { UInt64($0) } }

    /// The state letter of proc(5) stat ("Z" is a zombie); nil when there is no such process.
    public static func state(of pid: pid_t) -> Character? { statField(of: pid, 0)?.first }

    /// Field `index` (0 is the state) behind the command's name, which may hold spaces and parentheses.
    private static func statField(of pid: pid_t, _ index: Int) -> Substring? {
        guard let bytes = try? File.read("/proc/\(pid)/stat", limit: 4096) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        return fields.indices.contains(index) ? fields[index] : nil
    }
}

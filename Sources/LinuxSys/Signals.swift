import CLinux

/// Signals as descriptors: what a loop waits for instead of being interrupted.
public struct SignalDescriptor: ~Copyable {
    private let descriptor: FileDescriptor
    public var raw: CInt { descriptor.raw }

    /// Blocks `signals` in the calling thread (and those it starts) and reads them from a descriptor.
    public init(_ signals: some Sequence<CInt>) throws(Errno) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal) }
        let code = pthread_sigmask(SIG_BLOCK, &set, nil)
        if code != 0 { throw Errno(rawValue: code) }
        descriptor = FileDescriptor(
            owning: try once { signalfd(-1, &set, CInt(SFD_CLOEXEC) | CInt(SFD_NONBLOCK)) })
    }

    /// A signal that was waiting.
    public struct Delivery: Sendable {
        public let signal: CInt
        /// Who sent it; 0 for the kernel.
        public let sender: pid_t
        /// `si_code`: SI_USER and the like.
        public let code: CInt
    }

    /// The next signal, or nil when none waits.
    public func next() throws(Errno) -> Delivery? {
        var info = signalfd_siginfo()
        do throws(Errno) {
            let size = MemoryLayout<signalfd_siginfo>.size
            let got = try retrying { CLinux.read(descriptor.raw, &info, size) }
            guard got == size else { throw .ioError }
        } catch .wouldBlock {
            return nil
        } catch {
            throw error
        }
        return Delivery(
            signal: CInt(bitPattern: info.ssi_signo), sender: pid_t(bitPattern: info.ssi_pid), code: info.ssi_code)
    }
}

public enum Signals {
    /// Every signal that a process can catch and that means something from outside: not KILL and STOP, not those
    /// that the CPU raises, not the two that glibc keeps.
    public static var forwardable: [CInt] {
        let kept: Set<CInt> = [
            SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGCHLD, SIGPIPE, 32, 33,
        ]
        return (1...64).filter { !kept.contains($0) }
    }

    public static func ignore(_ number: CInt) { _ = clinux_ignore_signal(number) }

    /// Has the signal do again what it does to a process that says nothing about it.
    public static func restore(_ number: CInt) { _ = clinux_default_signal(number) }

    private static let names: [(String, CInt)] = [
        ("HUP", 1), ("INT", 2), ("QUIT", 3), ("ILL", 4), ("TRAP", 5), ("ABRT", 6), ("IOT", 6), ("BUS", 7), ("FPE", 8),
        ("KILL", 9), ("USR1", 10), ("SEGV", 11), ("USR2", 12), ("PIPE", 13), ("ALRM", 14), ("TERM", 15),
        ("STKFLT", 16), ("CHLD", 17), ("CLD", 17), ("CONT", 18), ("STOP", 19), ("TSTP", 20), ("TTIN", 21),
        ("TTOU", 22), ("URG", 23), ("XCPU", 24), ("XFSZ", 25), ("VTALRM", 26), ("PROF", 27), ("WINCH", 28),
        ("IO", 29), ("POLL", 29), ("PWR", 30), ("SYS", 31),
    ]

    /// A signal by number (1 to 64) or by name, with or without SIG, in any case, RTMIN+n and RTMAX-n too.
    public static func number(of text: String) -> CInt? {
        if let number = CInt(text) { return (1...64).contains(number) ? number : nil }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let known = names.first(where: { $0.0 == name }) { return known.1 }
        if name.hasPrefix("RTMIN") { return realTime(from: 34, name.dropFirst(5)) }
        if name.hasPrefix("RTMAX") { return realTime(from: 64, name.dropFirst(5)) }
        return nil
    }

    private static func realTime(from base: CInt, _ offset: Substring) -> CInt? {
        if offset.isEmpty { return base }
        guard let distance = CInt(offset), (-30...30).contains(distance) else { return nil }
        return (34...64).contains(base + distance) ? base + distance : nil
    }

    /// "SIGTERM" for 15; "SIG40" where there is no name.
    public static func name(of number: CInt) -> String {
        "SIG" + (names.first { $0.1 == number }?.0 ?? String(number))
    }
}

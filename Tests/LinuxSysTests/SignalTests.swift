import Glibc
import LinuxSys
import Testing

struct SignalTests {
    @Test("a blocked signal is read from the descriptor, with its sender")
    func descriptor() throws {
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let signals = try SignalDescriptor([SIGUSR1, SIGUSR2])
        #expect(try signals.next() == nil)
        // To this thread: the others have not blocked it.
        pthread_kill(pthread_self(), SIGUSR2)
        pthread_kill(pthread_self(), SIGUSR1)
        let loop = try EventLoop()
        var seen: [CInt] = []
        try loop.watch(signals.raw, .readable) { _ in loop.stop() }
        try loop.run()
        while let delivery = try signals.next() {
            #expect(delivery.sender == getpid())
            seen.append(delivery.signal)
        }
        #expect(seen.sorted() == [SIGUSR1, SIGUSR2])
    }

    @Test(arguments: [
        ("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("Kill", 9), ("9", 9), ("1", 1), ("64", 64), ("IOT", 6),
        ("SIGABRT", 6), ("CLD", 17), ("POLL", 29), ("RTMIN", 34), ("SIGRTMIN+3", 37), ("rtmin+30", 64), ("RTMAX", 64),
        ("SIGRTMAX-30", 34), ("RTMAX-1", 63),
    ])
    func numbers(word: String, number: CInt) { #expect(Signals.number(of: word) == number) }

    @Test(arguments: [
        "", "SIG", "0", "65", "-1", "99999999999", "SIGSIGTERM", "TERM ", " 9", "FOO", "RTMIN-1", "RTMIN+31", "RTMAX+1",
        "RTMAX-31", "RTMIN+", "RTMIN+x", "RTMIN-2147483648", "RTMAX-2147483648", "RTMIN+2147483647",
        "RTMIN+99999999999",
        "TERM\u{0}", "ΤΕRΜ",
    ])
    func noNumbers(word: String) { #expect(Signals.number(of: word) == nil) }

    @Test func names() {
        #expect(Signals.name(of: 15) == "SIGTERM")
        #expect(Signals.name(of: 6) == "SIGABRT")
        #expect(Signals.name(of: 17) == "SIGCHLD")
        #expect(Signals.name(of: 29) == "SIGIO")
        #expect(Signals.name(of: 40) == "SIG40")
        for number in CInt(1)...31 { #expect(Signals.number(of: Signals.name(of: number)) == number) }
    }

    @Test("what is forwarded can be caught, and says something from outside")
    func forwardable() {
        let all = Set(Signals.forwardable)
        #expect(
            all.isSuperset(of: [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP, 34, 64])
        )
        #expect(all.isDisjoint(with: [SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGCHLD, SIGPIPE, 32, 33]))
        #expect(all.count == Signals.forwardable.count)
    }
}

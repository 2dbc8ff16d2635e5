import Glibc
import LinuxSys
import Spawn
import Testing

/// Runs `program` to its end: what it wrote to its descriptor 1, and how it ended.
func output(of program: Program) throws -> (text: String, status: LinuxSys.ExitStatus) {
    var program = program
    var pipe = try LoosePipe()
    program.descriptors[1] = pipe.writer?.raw
    let child = try program.start()
    pipe.writer = nil
    return (try pipe.rest(), try child.wait())
}

func shell(_ script: String, _ descriptors: [CInt: CInt] = [:]) -> Program {
    Program(path: "/bin/sh", arguments: ["-c", script], descriptors: descriptors)
}

struct SpawnTests {
    @Test func exitStatus() throws {
        #expect(try shell("exit 42").start().wait() == .exited(code: 42))
        #expect(try shell("kill -TERM $$").start().wait() == .signaled(signal: SIGTERM))
        let (text, status) = try output(of: shell("echo out"))
        #expect(text == "out\n" && status == .exited(code: 0))
    }

    @Test("arguments, name and environment are what they are said to be, and nothing else")
    func environment() throws {
        var program = Program(
            path: "/usr/bin/env", arguments: [], environment: ["A=1", "B=two words", "C="], descriptors: [:])
        #expect(try output(of: program).text == "A=1\nB=two words\nC=\n")
        program.environment = []
        #expect(try output(of: program).text == "")
        program = Program(path: "/bin/cat", arguments: ["/proc/self/cmdline", "--", "/dev/null"], descriptors: [:])
        #expect(try output(of: program).text == "/bin/cat\0/proc/self/cmdline\0--\0/dev/null\0")
        program.name = "another name"
        #expect(try output(of: program).text == "another name\0/proc/self/cmdline\0--\0/dev/null\0")
    }

    @Test("mask and handlers are the defaults, whatever the caller's are")
    func signals() throws {
        var before = sigset_t()
        var blocked = sigset_t()
        sigaddset(&blocked, SIGUSR1)
        sigaddset(&blocked, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &blocked, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        Signals.ignore(SIGPIPE)
        let status = try output(of: Program(path: "/bin/cat", arguments: ["/proc/self/status"], descriptors: [:])).text
        for field in ["SigBlk", "SigIgn", "SigCgt"] {
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(field) })
            let set = try #require(UInt64(line.suffix(16), radix: 16))
            // 32 and 33 are glibc's own.
            #expect(set & ~0x1_8000_0000 == 0, "\(line)")
        }
        // And the caller's own mask is as it was.
        var now = sigset_t()
        pthread_sigmask(SIG_BLOCK, nil, &now)
        for number in CInt(1)...31 {
            let wanted = sigismember(&before, number) == 1 || sigismember(&blocked, number) == 1
            #expect((sigismember(&now, number) == 1) == wanted, "\(Signals.name(of: number))")
        }
    }

    @Test func session() throws {
        for wanted in [false, true] {
            var program = Program(path: "/bin/cat", arguments: ["/proc/self/stat"], descriptors: [:])
            program.newSession = wanted
            let fields = try output(of: program).text.split(separator: " ")
            #expect((fields[0] == fields[5]) == wanted)
        }
    }

    @Test func privileges() throws {
        for wanted in [false, true] {
            var program = Program(
                path: "/bin/grep", arguments: ["NoNewPrivs", "/proc/self/status"], descriptors: [:])
            program.noNewPrivileges = wanted
            #expect(try output(of: program).text == "NoNewPrivs:\t\(wanted ? 1 : 0)\n")
        }
    }

    @Test(
        "a program that can't be executed is told apart",
        arguments: [
            ("/nonexistent/program", ENOENT, "No such file or directory"), ("/etc/passwd", EACCES, "Permission denied"),
            ("/tmp", EACCES, "Permission denied"), ("/etc/passwd/x", ENOTDIR, "Not a directory"),
        ] as [(String, CInt, String)])
    func execFailure(path: String, code: CInt, words: String) throws {
        do {
            let child = try Program(path: path, arguments: [], descriptors: [:]).start()
            Issue.record("\(path) runs")
            end(child)
        } catch {
            #expect(error.isExec && error.errno.rawValue == code)
            #expect(error.description == "can't execute \(path): \(words)")
        }
    }

    @Test("the failure of a descriptor is none of the program")
    func descriptorFailure() throws {
        do {
            let child = try shell("exit 0", [0: -1]).start()
            Issue.record("it runs")
            end(child)
        } catch {
            #expect(!error.isExec && error.errno == .badFileDescriptor)
            #expect(error.description == "can't start /bin/sh: hand over descriptors: Bad file descriptor")
        }
    }

    @Test("the descriptor becomes readable when the process ends")
    func pidfd() throws {
        let loop = try EventLoop()
        let child = try shell("exit 0").start()
        try loop.watch(child.raw, .readable) { _ in loop.stop() }
        try loop.run()
        #expect(try child.poll()?.status == .exited(code: 0))
    }
}

struct SpawnDescriptorTests {
    /// Opens two files that are told apart by their names.
    private func withFiles(_ body: (_ path: String, _ a: CInt, _ b: CInt) throws -> Void) throws {
        try inScratch { path in
            let a = try FileDescriptor.open(path + "/a", O_RDWR | O_CREAT, mode: 0o600)
            let b = try FileDescriptor.open(path + "/b", O_RDWR | O_CREAT, mode: 0o600)
            try body(path, a.raw, b.raw)
            // The caller keeps its own.
            #expect(try File.readLink("/proc/self/fd/\(a.raw)") == path + "/a")
            #expect(try File.readLink("/proc/self/fd/\(b.raw)") == path + "/b")
        }
    }

    private func links(_ numbers: [CInt], _ descriptors: [CInt: CInt]) throws -> [Substring] {
        let program = Program(
            path: "/bin/readlink", arguments: numbers.map { "/proc/self/fd/\($0)" }, descriptors: descriptors)
        return try output(of: program).text.split(separator: "\n")
    }

    @Test("numbers are given as wanted, also where they are swapped")
    func swap() throws {
        try withFiles { path, a, b throws in
            let names = [path + "/a", path + "/b"].map { Substring($0) }
            #expect(try links([a, b], [a: b, b: a]) == names.reversed())
            #expect(try links([a, b], [a: a, b: b]) == names)
            #expect(try links([3, 4], [3: a, 4: b]) == names)
            #expect(try links([4, 3], [3: a, 4: b]) == names.reversed())
            // A chain: each target is the next one's source.
            #expect(try links([b, b + 1, 900], [b: a, b + 1: b, 900: a]) == [names[0], names[1], names[0]])
        }
    }

    @Test("all others are closed, also 0, 1 and 2")
    func others() throws {
        try withFiles { path, a, b in
            let inherited = try FileDescriptor.duplicate(of: a)
            _ = fcntl(inherited.raw, F_SETFD, 0)
            // The listing itself opens the lowest free number.
            let list = Program(path: "/bin/ls", arguments: ["/proc/self/fd"], descriptors: [:])
            #expect(try output(of: list).text == "0\n1\n")
            var more = list
            more.descriptors = [0: a, 2: b, 7: a, 300: b]
            #expect(try output(of: more).text.split(separator: "\n").sorted() == ["0", "1", "2", "3", "300", "7"])
            withExtendedLifetime(inherited) {}
        }
    }
}

import Glibc
import LinuxSys
import Spawn
import Testing

struct ProcessTests {
    private static let statuses: [(CInt, LinuxSys.ExitStatus, Int32)] = [
        (0x0000, .exited(code: 0), 0), (0x0100, .exited(code: 1), 1), (0xff00, .exited(code: 255), 255),
        (0x0009, .signaled(signal: 9), 137), (0x008b, .signaled(signal: 11), 139), (0x0040, .signaled(signal: 64), 192),
    ]

    @Test(arguments: Self.statuses)
    func exitStatus(wait: CInt, status: LinuxSys.ExitStatus, shell: Int32) {
        #expect(LinuxSys.ExitStatus(waitStatus: wait) == status)
        #expect(status.shellCode == shell)
    }

    @Test("pid and start time name one process")
    func startTime() throws {
        let own = try #require(Processes.startTime(of: getpid()))
        #expect(own > 0)
        #expect(Processes.startTime(of: getpid()) == own)
        // Ticks of 10 ms: a child of now began later than this process, or with it, and before now.
        let child = try sleeper().start()
        defer { end(child) }
        let started = try #require(Processes.startTime(of: child.pid))
        let now = Clock.bootNanoseconds() / 10_000_000
        #expect(started >= own && started <= now + 1 && now < started + 1000)
        #expect(Processes.startTime(of: .max) == nil)
        #expect(Processes.startTime(of: 0) == nil)
    }

    @Test("the state is found behind a command name that looks like one")
    func state() throws {
        let reader = try Pipes.make()
        var program = Program(
            path: "/bin/sh", arguments: ["-c", "printf 'x) Z 1 (' > /proc/$$/comm; echo; kill -STOP $$"],
            descriptors: [1: reader.writer.raw])
        program.environment = ["PATH=/bin:/usr/bin"]
        let child = try program.start()
        defer { end(child) }
        _ = try reader.reader.read(upTo: 1)
        for _ in 0..<1000 where Processes.state(of: child.pid) != "T" { usleep(5000) }
        #expect(Processes.state(of: child.pid) == "T")
        #expect(text(try File.read("/proc/\(child.pid)/comm", limit: 100)) == "x) Z 1 (\n")
        #expect(try #require(Processes.startTime(of: child.pid)) > 0)
        #expect(Processes.state(of: .max) == nil)
    }

    @Test("a child that has ended is a zombie until it is reaped")
    func zombie() throws {
        let child = try Program(path: "/bin/sh", arguments: ["-c", "exit 3"], descriptors: [:]).start()
        let process = try ProcessDescriptor(pid: child.pid)
        let ended = process.waitForEnd(milliseconds: 10_000)
        #expect(ended)
        #expect(Processes.state(of: child.pid) == "Z")
        #expect(try child.poll()?.status == .exited(code: 3))
        #expect(Processes.state(of: child.pid) == nil)
        #expect(errno { try process.send(SIGTERM) } == .noSuchProcess)
        // Nothing to reap any more.
        #expect(errno { _ = try child.poll() }?.rawValue == ECHILD)
        #expect(try Processes.reap(child.pid) == nil)
        #expect(errno { _ = try child.wait() }?.rawValue == ECHILD)
    }

    @Test func processDescriptor() throws {
        let child = try sleeper().start()
        let process = try ProcessDescriptor(pid: child.pid)
        let endedEarly = process.waitForEnd(milliseconds: 20)
        #expect(!endedEarly)
        #expect(try Processes.reap(child.pid) == nil)
        try process.send(SIGTERM)
        let ended = process.waitForEnd(milliseconds: 10_000)
        #expect(ended)
        let reaped = try #require(try Processes.reap(child.pid))
        #expect(reaped.pid == child.pid && reaped.status == .signaled(signal: SIGTERM))
        #expect(errno { _ = try ProcessDescriptor(pid: .max) } == .noSuchProcess)
        // A signal to one that has ended is no failure here.
        child.send(SIGKILL)
    }
}

/// A program that does nothing for a while.
func sleeper() -> Program { Program(path: "/bin/sleep", arguments: ["60"], descriptors: [:]) }

func end(_ child: borrowing ChildProcess) {
    child.send(SIGKILL)
    _ = try? child.wait()
}

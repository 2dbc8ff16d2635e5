import Glibc
import LinuxSys
import Spawn
import Testing

struct SpawnParentTests {
    /// Starts a program on a thread of its own, which ends at once.
    private final class Launch {
        let program: Program
        var pid: pid_t = 0

        init(_ program: Program) { self.program = program }

        func run() throws {
            var thread = pthread_t()
            let object = Unmanaged.passRetained(self).toOpaque()
            let code = pthread_create(
                &thread, nil,
                { object in
                    guard let object else { return nil }
                    let launch = Unmanaged<Launch>.fromOpaque(object).takeRetainedValue()
                    launch.pid = (try? launch.program.start().pid) ?? 0
                    return nil
                }, object)
            try #require(code == 0)
            pthread_join(thread, nil)
        }
    }

    @Test("a program dies with the thread that started it")
    func dies() throws {
        let launch = Launch(sleeper())
        try launch.run()
        try #require(launch.pid > 0)
        #expect(try Processes.wait(launch.pid) == .signaled(signal: SIGKILL))
    }

    @Test("or does not, when that is not wanted")
    func survives() throws {
        var program = sleeper()
        program.diesWithParent = false
        let launch = Launch(program)
        try launch.run()
        try #require(launch.pid > 0)
        let process = try ProcessDescriptor(pid: launch.pid)
        let endedEarly = process.waitForEnd(milliseconds: 50)
        #expect(!endedEarly)
        try process.send(SIGTERM)
        #expect(try Processes.wait(launch.pid) == .signaled(signal: SIGTERM))
    }
}

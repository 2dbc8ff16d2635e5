import Glibc
import LinuxSys
import Spawn
import Testing

struct PlaceholderTests {
    @Test("it lives as long as its owner, and holds nothing of the caller's")
    func lifetime() throws {
        let pid: pid_t
        do {
            let placeholder = try Placeholder()
            pid = placeholder.pid
            // It closes them when it runs.
            var descriptors: [String] = ["?"]
            for _ in 0..<2000 where !descriptors.isEmpty {
                descriptors = try File.list("/proc/\(pid)/fd")
                usleep(1000)
            }
            #expect(descriptors.isEmpty && getsid(pid) == pid)
            // What others would be ended by is nothing to it.
            kill(pid, SIGTERM)
            usleep(10_000)
            #expect(Processes.state(of: pid) == "S")
            _ = consume placeholder
        }
        #expect(Processes.state(of: pid) == nil)
    }
}

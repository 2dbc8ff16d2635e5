import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// That the other tests would see what is left behind, and what is lost.
    @Suite struct Harness {
        @Test func orphansMountsAndFilesAreSeen() throws {
            try Host.use { host in
                #expect(host.isClean(within: 0))
                let shell = try Running("/bin/sh", ["-c", "setsid sleep 1000 >/dev/null 2>&1 & exit 3"])
                #expect(try shell.finish().code == 3)
                let orphans = Leaks.find(root: host.root, directory: host.directory).processes
                #expect(orphans.count == 1)
                for orphan in orphans { kill(orphan, SIGKILL) }
                #expect(host.isClean(within: 5))
                try File.makeDirectories(host.root + "/left", mode: 0o700)
                #expect(Leaks.find(root: host.root, directory: host.directory).files == ["left"])
                rmdir(host.root + "/left")
            }
        }

        @Test func programThatHangsIsKilled() throws {
            let program = try Running("/bin/sleep", ["1000"])
            #expect(throws: Trouble.self) { try program.finish(until: Deadline(seconds: 0.1)) }
            #expect(!program.isRunning)
            let silent = try Running("/bin/sh", ["-c", "echo one; exec sleep 1000"])
            #expect(throws: Trouble.self) {
                try silent.wait("what never comes", until: Deadline(seconds: 0.3)) { silent.out.contains("two") }
            }
            silent.kill()
            #expect(silent.out == "one\n")
        }
    }
}

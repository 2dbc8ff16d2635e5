import Glibc
import LinuxSys
import Testing

extension EndToEnd {
    /// kill -9 of each process at different moments: `state` tells the truth, `delete --force` leaves nothing, the id is free.
    @Suite struct Crashes {
        /// What a process's command line has.
        enum Victim: String, CaseIterable {
            case standIn = "kvm-runtime:"
            case supervisor = "kvm-runtime sandbox"
            case qemu = "qemu-system"
            case vmm = "kvm-vmm"
            case command = "--root"
        }

        private func kill(_ victim: Victim) {
            for pid in Leaks.descendants() where Leaks.command(of: pid).contains(victim.rawValue) {
                Glibc.kill(pid, SIGKILL)
            }
        }

        private func hasSandbox() -> Bool {
            Leaks.descendants().contains { Leaks.command(of: $0).contains(Victim.supervisor.rawValue) }
        }

        private func survives(_ host: Host, _ bundle: Bundle) throws {
            #expect(
                eventually(within: 2) {
                    let status = try? host.status()
                    return (status == nil || status == "stopped") == !hasSandbox()
                }, "state does not tell the truth")
            #expect(try host.command("delete", "--force", host.id).code == 0)
            #expect(host.isClean(within: 2), "\(Leaks.find(root: host.root, directory: host.directory))")
            let again = try host.run(bundle)
            #expect(again.code == 0 && again.out == "again\n", "\(again)")
        }

        @Test("while a container is being created", arguments: Victim.allCases)
        func creating(victim: Victim) throws {
            for milliseconds in [10, 150, 450] {
                try Host.use { host in
                    let bundle = try host.bundle("sleep 100")
                    let again = try host.bundle("echo again")
                    let create = try host.start(
                        ["create", "--bundle", bundle.path, host.id], stdout: .closed, stderr: .closed)
                    usleep(UInt32(milliseconds) * 1000)
                    kill(victim)
                    _ = try create.finish(readingToTheEnd: false)
                    try survives(host, again)
                }
            }
        }

        @Test("while a process is being exec'ed", arguments: [Victim.standIn, .supervisor, .qemu, .vmm])
        func executing(victim: Victim) throws {
            try Host.use { host in
                let bundle = try host.bundle("echo ready; sleep 100")
                let again = try host.bundle("echo again")
                let run = try host.starting(bundle, ["--detach"])
                try run.wait(forOutput: "ready")
                let exec = try host.start(["exec", host.id, "sleep", "50"])
                usleep(20_000)
                kill(victim)
                #expect(try exec.finish().code != 0)
                try survives(host, again)
            }
        }

        @Test func deleting() throws {
            try Host.use { host in
                let run = try host.starting(try host.bundle("echo ready; sleep 100"), ["--detach"])
                let again = try host.bundle("echo again")
                try run.wait(forOutput: "ready")
                let delete = try host.start(["delete", "--force", host.id])
                usleep(3000)
                delete.kill()
                try survives(host, again)
            }
        }
    }
}

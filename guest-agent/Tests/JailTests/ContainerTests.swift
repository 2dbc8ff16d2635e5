import AgentProtocol
import CJail
import CLinux
import LinuxSys
import OCISpec
import Testing

@testable import Jail

extension RealContainers {
    /// Real containers on this machine. Serialised: each waits for children of the test process.
    @Suite struct ContainerTests {
        private let container: TestContainer

        init() throws { container = try TestContainer() }

        private func run(
            _ script: String, binds: [Int: String] = [:], _ change: (inout Spec) -> Void = { _ in }
        ) throws -> TestContainer.Result {
            try container.run(container.spec(script, change), binds: binds)
        }

        private func failure(_ change: (inout Spec) -> Void) throws -> Failure? { try run("true", change).failure }

        @Test func exitStatus() throws {
            #expect(try run("exit 7").status == .exited(code: 7))
            #expect(try run("kill -9 $$; sleep 1").status != nil)
            #expect(try run("echo $$").output == "1\n")
        }

        @Test func programsThatAreNotThere() throws {
            #expect(
                try failure { $0.process?.args = ["foo"] }
                    == Failure(kind: .programNotFound, message: #"exec: "foo": executable file not found in $PATH"#))
            #expect(
                try failure { $0.process?.args = ["/x"] }
                    == Failure(kind: .programNotFound, message: #"exec: "/x": stat /x: no such file or directory"#))
            #expect(
                try failure { $0.process?.args = ["/etc/passwd"] }
                    == Failure(kind: .programNotExecutable, message: #"exec: "/etc/passwd": permission denied"#))
            #expect(try failure { $0.process?.args = ["/etc"] }?.kind == .programNotExecutable)
            #expect(try failure { $0.process?.env = [] }?.kind == .programNotFound)
        }

        @Test func aFormatThatTheKernelDoesNotKnow() throws {
            try container.write("junk", to: container.root + "/bin/junk")
            chmod(container.root + "/bin/junk", 0o755)
            #expect(
                try failure { $0.process?.args = ["junk"] }
                    == Failure(kind: .programNotExecutable, message: "exec junk: exec format error"))
        }

        @Test func aMemoryPolicyThatTheKernelRefuses() throws {
            let failed = try failure { $0.linux?.memoryPolicy = .init(mode: "MPOL_BIND", nodes: "63") }
            #expect(
                failed?.kind == .container && failed?.message.hasPrefix("linux.memoryPolicy: ") == true, "\(failed)")
        }

        @Test func missingWorkingDirectory() throws {
            #expect(
                try failure { $0.process?.cwd = "/proc/nope" }?.message
                    == #"chdir to cwd ("/proc/nope") set in config.json failed: no such file or directory"#)
        }

        @Test func user() throws {
            let result = try run("id -u; id -g; id -G; umask; echo $HOME; grep -E 'Cap(Eff|Bnd|Amb)' /proc/self/status")
            {
                $0.process?.user = .init(uid: 1000, gid: 1001)
                $0.process?.user.additionalGids = [7]
                $0.process?.user.umask = 0o27
                var capabilities = Process.Capabilities()
                capabilities.bounding = ["CAP_KILL", "CAP_CHOWN"]
                capabilities.permitted = ["CAP_KILL"]
                capabilities.effective = ["CAP_KILL"]
                capabilities.inheritable = ["CAP_KILL"]
                capabilities.ambient = ["CAP_KILL"]
                $0.process?.capabilities = capabilities
            }
            #expect(
                result.output == """
                    1000
                    1001
                    1001 7
                    0027
                    /home/u
                    CapEff:\t0000000000000020
                    CapBnd:\t0000000000000021
                    CapAmb:\t0000000000000020

                    """)
        }

        @Test func nobodySaidCapabilities() throws {
            #expect(try run("grep CapEff /proc/self/status").output == "CapEff:\t0000000000000000\n")
        }

        @Test func limitsAndPrivileges() throws {
            let result = try run("ulimit -n; grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj") {
                $0.process?.rlimits = [.init(type: "RLIMIT_NOFILE", hard: 64, soft: 64)]
                $0.process?.noNewPrivileges = true
                $0.process?.oomScoreAdj = 500
            }
            #expect(result.output == "64\nNoNewPrivs:\t1\n500\n")
        }

        @Test func signalsAreAsNew() throws {
            // Without a shell, which has signals of its own to ignore.
            let result = try run("") { $0.process?.args = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"] }
            #expect(result.output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
        }

        @Test func noDescriptorIsLeftOpen() throws {
            // 3 is the listing's own.
            #expect(try run("") { $0.process?.args = ["ls", "/proc/self/fd"] }.output == "0\n1\n2\n3\n")
        }

        @Test func readOnlyRoot() throws {
            let result = try run("touch /x && echo written; touch /dev/x && echo dev") { $0.root?.readonly = true }
            #expect(result.output.contains("Read-only file system"))
            #expect(result.output.hasSuffix("dev\n"))
        }

        @Test func maskedAndReadOnlyPaths() throws {
            let result = try run(
                "cat /proc/cpuinfo | wc -c; ls /proc/bus; echo 1 > /proc/sys/kernel/domainname && echo bad; echo end"
            ) {
                $0.linux?.maskedPaths = ["/proc/cpuinfo", "/proc/bus", "/proc/nothing"]
                $0.linux?.readonlyPaths = ["/proc/sys", "/nothing"]
            }
            #expect(result.output.hasSuffix("Read-only file system\nend\n"))
            #expect(!result.output.contains("bad"))
        }

        @Test func names() throws {
            let result = try run("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname") {
                $0.hostname = "inside"
                $0.domainname = "example"
            }
            #expect(result.output == "inside\nexample\n")
        }

        @Test func sysctlAndLoopback() throws {
            let result = try run("cat /proc/sys/net/ipv4/ip_forward; grep -c lo: /proc/net/dev; cat /proc/net/fib_trie")
            {
                $0.linux?.sysctl = ["net.ipv4.ip_forward": "1"]
            }
            #expect(result.output.hasPrefix("1\n1\n"))
            #expect(result.output.contains("127.0.0.1"))
            #expect(
                try failure { $0.linux?.sysctl = ["net.nope": "1"] }?.message
                    == #"linux.sysctl "net.nope": no such file or directory"#)
        }

        @Test func terminal() throws {
            let result = try run("tty; stty size; stat -c %t:%T /dev/console") { $0.process?.terminal = true }
            #expect(result.output == "/dev/pts/0\r\n33 77\r\n88:0\r\n")
        }

        @Test func terminalWithoutDevpts() throws {
            #expect(
                try failure {
                    $0.process?.terminal = true
                    $0.mounts.removeLast()
                }?.message.hasPrefix("the terminal could not be made") == true)
        }
    }
}

import Glibc
import JSON
import JailCompiler
import LinuxSys
import OCISpec
import Testing

extension EndToEnd {
    /// containerd, through its own runc shim, with our program in runc's place.
    @Suite(.enabled(if: ContainerdPlace.obstacle == nil, "\(ContainerdPlace.obstacle ?? "")")) struct Containerd {
        private func run(_ options: String..., id: String, _ command: String...) -> [String] {
            ["run"] + options + ["--runc-binary", Build.binary, Clients.image, id] + command
        }

        @Test func foreground() throws {
            try ContainerdPlace.use { place in
                let first = try place.start(run("--rm", id: "f", "sh", "-c", "echo out; echo err >&2; exit 5"))
                    .finish()
                #expect(first.code == 5 && first.out == "out\n" && first.err.contains("err\n"), "\(first)")
                let input = try place.start(run("--rm", id: "i", "head", "-n", "1"), stdin: .pipe)
                // ctr never says that its input has ended: with runc too, a cat would wait for ever.
                input.write("through\n")
                #expect(try input.finish().out == "through\n")
                let terminal = try OuterTerminal(rows: 31, columns: 91)
                let tty = try place.start(
                    run("--rm", "-t", id: "t", "sh", "-c", "tty; exit 4"), on: terminal)
                try tty.wait(for: "/dev/pts/0", on: terminal)
                #expect(try tty.finish().code == 4)
                // The filter that containerd makes by itself.
                let filtered = try place.start(
                    run("--rm", "--seccomp", id: "s", "grep", "Seccomp:", "/proc/self/status")
                ).finish()
                #expect(filtered.out == "Seccomp:\t2\n", "\(filtered)")
                let missing = try place.start(run("--rm", id: "m", "nosuch")).finish()
                #expect(
                    missing.code == 1 && missing.err.contains(#"exec: "nosuch": executable file not found in $PATH"#))
                #expect(try place.ctr("containers", "list", "-q").out.isEmpty)
            }
        }

        /// The profile that containerd makes by itself, for a container with few and one with all capabilities: our filter of it
        /// is what libseccomp makes on another way.
        @Test func defaultProfile() throws {
            try ContainerdPlace.use { place in
                for options in [[], ["--privileged"]] {
                    let create = ["containers", "create", "--seccomp"] + options + [Clients.image, "p"]
                    #expect(try place.start(create).finish().code == 0)
                    let text = try place.ctr("containers", "info", "p").stdout
                    let info = try JSONValue.parse(text)
                    let profile = try #require(info.at("Spec.linux.seccomp"))
                    #expect((profile["syscalls"]?.elements.count ?? 0) > 5)
                    let ours = try #require(try SeccompFilter(try Linux.Seccomp(json: profile)))
                    let program =
                        String(#filePath.dropLast("EndToEndTests/ContainerdTests.swift".count))
                        + "Programs/seccomp-filter.py"
                    let python = try Running("/usr/bin/env", ["python3", program], stdin: .pipe)
                    python.write(profile.bytes())
                    python.closeInput()
                    let theirs = try python.finish().stdout
                    // What stands before it is about calls that the profile does not know (SeccompTests).
                    #expect(Array(ours.program.suffix(theirs.count)) == theirs)
                    #expect(ours.program.count - theirs.count <= 12 * 8 && theirs.count / 8 > 200)
                    #expect(try place.ctr("containers", "rm", "p").code == 0)
                }
            }
        }

        @Test func tasks() throws {
            try ContainerdPlace.use { place in
                let script = "trap 'exit 7' TERM; while :; do sleep 0.1; done"
                let started = try place.start(run("-d", id: "d", "sh", "-c", script)).finish()
                #expect(started.code == 0, "\(started.err)")
                let exec = try place.task("exec", "--exec-id", "e1", "d", "sh", "-c", "echo inside; exit 3")
                #expect(exec.code == 3 && exec.out == "inside\n", "\(exec)")
                #expect(try place.task("pause", "d").code == 0)
                #expect(try place.task("list").out.contains("PAUSED"))
                #expect(try place.task("resume", "d").code == 0)
                #expect(try place.task("list").out.contains("RUNNING"))
                #expect(try place.task("metrics", "d").out.contains("cpu"))
                let sleeper = try place.start(["task", "exec", "--exec-id", "e2", "d", "sleep", "100"])
                #expect(try eventually(within: 20) { try place.task("ps", "d").out.contains("ExecID:e2") })
                #expect(try place.task("kill", "--exec-id", "e2", "--signal", "KILL", "d").code == 0)
                #expect(try sleeper.finish().code == 137)
                #expect(try place.task("kill", "--signal", "TERM", "d").code == 0)
                #expect(try eventually(within: 20) { try place.task("list").out.contains("STOPPED") })
                #expect(try place.task("delete", "d").err.contains("exit with non-zero exit code 7"))
                #expect(try place.ctr("containers", "rm", "d").code == 0)
            }
        }
    }
}

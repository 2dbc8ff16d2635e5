import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// Hooks on the host: when they run, what they get, and what becomes of the container when one fails.
    @Suite struct Hooks {
        /// A hook that appends its name and the state's status to the file `mark`.
        private func hook(_ name: String, _ mark: String, _ more: String = "") -> JSONValue {
            let script =
                "read -r state; echo \"\(name) $(echo \"$state\" | sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/')\" >> \(mark); \(more)"
            return ["path": "/bin/sh", "args": ["sh", "-c", .string(script)], "env": ["PATH=/bin:/usr/bin", "X=y"]]
        }

        private func all(_ mark: String) -> JSONValue {
            [
                "prestart": [hook("prestart", mark)], "createRuntime": [hook("createRuntime", mark)],
                "poststart": [hook("poststart", mark)], "poststop": [hook("poststop", mark), hook("second", mark)],
            ]
        }

        @Test func orderAcrossTheLifeOfAContainer() throws {
            try Host.use { host in
                let mark = host.directory + "/mark"
                let bundle = try host.bundle("trap 'exit 0' TERM; echo program; while :; do sleep 0.1; done") {
                    $0.set("hooks", all(mark))
                }
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                #expect(try Files.text(mark) == "prestart creating\ncreateRuntime creating\n")
                #expect(try host.command("start", host.id).code == 0)
                #expect(try Files.text(mark).hasSuffix("poststart running\n"))
                try create.wait(forOutput: "program")
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                #expect(eventually { (try? host.status()) == "stopped" })
                #expect(try Files.text(mark).hasSuffix("poststart running\n"))
                #expect(try host.command("delete", host.id).code == 0)
                #expect(try Files.text(mark).hasSuffix("poststart running\npoststop stopped\nsecond stopped\n"))
            }
        }

        @Test func runHasThemAll() throws {
            try Host.use { host in
                let mark = host.directory + "/mark"
                let outcome = try host.run(
                    try host.bundle("echo program; sleep 0.3; exit 3") { $0.set("hooks", all(mark)) })
                #expect(outcome.code == 3 && outcome.out == "program\n")
                #expect(
                    try Files.text(mark)
                        == "prestart creating\ncreateRuntime creating\npoststart running\npoststop stopped\nsecond stopped\n"
                )
            }
        }

        /// The state has what the specification says; the environment is the hook's own, the directory the bundle.
        @Test func whatAHookGets() throws {
            try Host.use { host in
                let file = host.directory + "/state"
                let bundle = try host.bundle("true") {
                    $0.set(
                        "hooks.createRuntime",
                        [
                            [
                                "path": "/bin/sh",
                                "args": [
                                    "sh", "-c",
                                    .string(
                                        "cat > \(file); echo \"$PWD $X $HOME\" > \(file).env; readlink /proc/$PPID/exe > \(file).parent; ls -l /proc/$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/' \(file))/ns/net > \(file).net"
                                    ),
                                ], "env": ["X=y", "PATH=/bin:/usr/bin"],
                            ]
                        ])
                    $0.set("annotations", ["a": "b"])
                }
                #expect(try host.run(bundle).code == 0)
                let state = try JSONValue.parse(Array(try Files.text(file).utf8))
                #expect(state["id"]?.string == host.id && state["status"] == "creating")
                #expect(state["bundle"]?.string == bundle.path && state["annotations"] == ["a": "b"])
                #expect((state["pid"]?.integer ?? 0) > 1)
                #expect(try Files.text(file + ".env") == "\(bundle.path) y \n")
                // "The container's" network namespace is not the host's: what a hook does there can't hurt.
                #expect(try !Files.text(file + ".net").contains(try Files.link("/proc/self/ns/net")))
            }
        }

        @Test(arguments: ["prestart", "createRuntime", "poststart"])
        func oneThatFails(kind: String) throws {
            try Host.use { host in
                let mark = host.directory + "/mark"
                let bundle = try host.bundle("sleep 100") {
                    $0.set("hooks", ["poststop": [hook("poststop", mark)]])
                    $0.set("hooks.\(kind)", [hook(kind, mark, "echo because; exit 4"), hook("never", mark)])
                }
                let outcome = try host.run(bundle)
                #expect(outcome.code != 0)
                #expect(outcome.complaints.count == 1)
                #expect(
                    outcome.err.contains(
                        "error running \(kind) hook #0 (/bin/sh): it exited with code 4; output: because"),
                    "\(outcome.err)")
                let status = kind == "poststart" ? "running" : "creating"
                #expect(try Files.text(mark) == "\(kind) \(status)\npoststop stopped\n")
            }
        }

        /// Programs of the host in the namespaces of the container's process there: what they mount or name is not the host's.
        @Test func createContainer() throws {
            try Host.use { host in
                let file = host.directory + "/out"
                let script =
                    "cat > \(file); hostname changed-by-hook; mkdir -p \(host.directory)/m; mount -t tmpfs none "
                    + "\(host.directory)/m; readlink /proc/self/ns/net >> \(file).net; readlink /proc/self/ns/mnt >> \(file).net"
                let bundle = try host.bundle("hostname") {
                    $0.set(
                        "hooks.createContainer",
                        [
                            [
                                "path": "/bin/sh", "args": ["sh", "-c", .string(script)],
                                "env": ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"],
                            ]
                        ])
                }
                let before = try Files.text("/proc/sys/kernel/hostname")
                #expect(try host.run(bundle).code == 0)
                #expect(try JSONValue.parse(Array(try Files.text(file).utf8))["status"] == "creating")
                #expect(try Files.text("/proc/sys/kernel/hostname") == before)
                let names = try Files.text(file + ".net")
                for kind in ["net", "mnt"] {
                    let ours = try Files.link("/proc/self/ns/" + kind)
                    #expect(!names.contains(ours), "\(kind)")
                }
                #expect(try !Files.text("/proc/self/mountinfo").contains(host.directory + "/m"))
                let failing = try host.bundle("true") {
                    $0.set("hooks.createContainer", [["path": "/bin/false"]])
                }
                let outcome = try host.run(failing)
                #expect(
                    outcome.code == 1 && outcome.err.contains("createContainer hook #0 (/bin/false): it exited"),
                    "\(outcome)")
            }
        }

        /// Programs of the container, in its place and before its own.
        @Test func startContainer() throws {
            try Host.use { host in
                func hook(_ script: String, timeout: Int? = nil) -> JSONValue {
                    var hook: JSONValue = [
                        "path": "/bin/sh", "args": ["sh", "-c", .string(script)], "env": ["PATH=/bin", "OWN=x"],
                    ]
                    if let timeout { hook.set("timeout", .integer(Int64(timeout))) }
                    return hook
                }
                let bundle = try host.bundle("cat /tmp/state /tmp/env; echo program") {
                    $0.set("process.env", ["PATH=/bin", "THEIRS=y"])
                    $0.set("root.readonly", false)
                    $0.set("annotations", ["a": "say \"pid\":-1"])
                    $0.set(
                        "hooks.startContainer",
                        [
                            hook("cat > /tmp/state; echo >> /tmp/state; cat /proc/self/comm"),
                            hook("echo $OWN$THEIRS $$ > /tmp/env"),
                        ])
                }
                let create = try host.start(["create", "--bundle", bundle.path, host.id])
                #expect(try create.finish(readingToTheEnd: false).code == 0)
                #expect(!File.exists(bundle.rootfs + "/tmp/state"))
                #expect(try host.command("start", host.id).code == 0)
                let outcome = try create.finish()
                #expect(outcome.lines.last == "program")
                let state = try JSONValue.parse(Array((outcome.lines.dropFirst().first ?? "").utf8))
                #expect(state["id"]?.string == host.id && state["status"] == "created" && state["pid"] == 1)
                #expect(state["annotations"]?["a"] == "say \"pid\":-1" && state["bundle"]?.string == bundle.path)
                #expect(outcome.lines.contains { $0.hasPrefix("x ") })
                #expect(eventually { (try? host.status()) == "stopped" })
                #expect(try host.command("delete", host.id).code == 0)

                func failure(_ hooks: JSONValue...) throws -> Outcome {
                    try host.run(try host.bundle("echo never") { $0.set("hooks.startContainer", .array(hooks)) })
                }
                let exits = try failure(hook("exit 0"), hook("exit 9"))
                #expect(exits.code == 1 && exits.out.isEmpty)
                #expect(exits.err.contains("error running startContainer hook #1: exit status 9"), "\(exits)")
                #expect(try failure(hook("kill -9 $$")).err.contains("hook #0: signal 9"))
                #expect(
                    try failure(hook("sleep 60", timeout: 1)).err.contains("hook #0: it took longer than its timeout"))
                #expect(
                    try failure(["path": "/no/such"]).err.contains("startContainer hook #0: no such file or directory"))
            }
        }

        @Test func timeoutAndMissingProgram() throws {
            try Host.use { host in
                let slow = try host.bundle("true") {
                    $0.set("hooks.createRuntime", [["path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1]])
                }
                let outcome = try host.run(slow)
                #expect(outcome.code == 1 && outcome.err.contains("it ran past its timeout of 1 s"), "\(outcome.err)")
                let missing = try host.bundle("true") { $0.set("hooks.prestart", [["path": "/no/such/hook"]]) }
                let other = try host.run(missing)
                #expect(
                    other.code == 1 && other.err.contains("prestart hook #0 (/no/such/hook): can't execute"),
                    "\(other.err)")
                // poststop is too late to fail: a warning.
                let late = try host.bundle("exit 6") { $0.set("hooks.poststop", [["path": "/bin/false"]]) }
                #expect(try host.run(late).code == 6)
                #expect(try Files.text(host.log).contains("poststop hook #0 (/bin/false): it exited with code 1"))
            }
        }
    }
}

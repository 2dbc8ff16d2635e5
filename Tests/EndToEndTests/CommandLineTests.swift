import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// The command line beside containers: check, version, help, spec, the log.
    @Suite struct CommandLine {
        @Test func checkSaysThatContainersCanRun() throws {
            try Host.use { host in
                let table = try host.command("check")
                #expect(table.code == 0)
                #expect(table.lines.first?.split(separator: " ") == ["NAME", "STATUS", "DETAIL"])
                for name in ["KVM ", "KVM guest code ", "QEMU ", "guest kernel ", "guest agent ", "tun ", "cgroups "] {
                    #expect(table.lines.contains { $0.hasPrefix(name) }, "\(name) in \(table.out)")
                }
                #expect(table.lines.last == "Containers can run here.")

                let json = try host.command("check", "--json")
                #expect(json.code == 0)
                #expect(try JSONValue.parse(json.stdout)["canRun"] == true, "\(json.out)")
            }
        }

        @Test(arguments: ["qemu", "kernel", "initramfs"]) func checkSaysWhatIsMissing(key: String) throws {
            try Host.use { host in
                try host.configure("[paths]\n\(key) = \"/no/such/file\"\n")
                let table = try host.command("check")
                #expect(table.code == 1)
                #expect(table.out.contains("missing") && table.out.contains("/no/such/file"), "\(table.out)")
                #expect(table.lines.last?.hasPrefix("No container can run here: ") == true, "\(table.out)")
                let json = try host.command("check", "--json")
                #expect(json.code == 1)
                #expect(try JSONValue.parse(json.stdout)["canRun"] == false, "\(json.out)")
            }
        }

        @Test func versionAndHelp() throws {
            let version = try Running(Build.binary, ["--version"]).finish()
            #expect(version.code == 0)
            #expect(version.lines.first?.hasPrefix("kvm-runtime version ") == true)
            #expect(version.lines.last?.hasPrefix("spec: 1.") == true)
            let help = try Running(Build.binary, ["--help"]).finish()
            #expect(help.code == 0)
            for verb in ["run", "create", "start", "kill", "delete", "state", "list", "spec", "check"] {
                #expect(help.out.contains("\n  \(verb) "), "\(verb)")
            }
            #expect(try Running(Build.binary, ["run", "--help"]).finish().out.contains("--console-socket"))
        }

        @Test(arguments: [
            ["frobnicate"], ["run"], ["run", "--no-such-option", "id"], ["run", "a", "b"],
            ["--log-format", "xml", "list"],
            ["state"], ["kill"],
        ])
        func wrongCommandLines(arguments: [String]) throws {
            let outcome = try Running(Build.binary, arguments).finish()
            #expect(outcome.code == 1)
            #expect(outcome.out.isEmpty)
            #expect(outcome.err.hasPrefix("kvm-runtime: "), "\(outcome.err)")
            #expect(outcome.err.split(separator: "\n").count <= 3, "\(outcome.err)")
        }

        @Test func specIsWrittenOnce() throws {
            try Host.use { host in
                #expect(try host.command("spec", "--bundle", host.directory).code == 0)
                let config = try JSONValue.parse(try Files.text(host.directory + "/config.json"))
                #expect(config.at("process.args") == ["sh"])
                #expect(config.at("root.readonly") == true)
                let again = try host.command("spec", "--bundle", host.directory)
                #expect(again.code == 1)
                #expect(again.err == "kvm-runtime: File config.json exists. Remove it first\n")
            }
        }

        /// runc's form: containerd and podman read it.
        @Test func logIsWrittenAsJSONOrText() throws {
            try Host.use { host in
                let file = host.directory + "/runtime.log"
                let arguments = ["--root", host.root, "--log", file, "--log-format"]
                let json = try Running(Build.binary, arguments + ["json", "state", "nobody"]).finish()
                #expect(json.code == 1)
                #expect(json.err == "kvm-runtime: container does not exist: nobody\n")
                let line = try JSONValue.parse(try Files.text(file))
                #expect(line["level"] == "error")
                #expect(line["msg"] == "container does not exist: nobody")
                #expect(line["time"]?.string?.hasSuffix("Z") == true)

                _ = try Running(Build.binary, arguments + ["text", "state", "nobody"]).finish()
                let lines = try Files.text(file).split(separator: "\n")
                #expect(lines.count == 2, "it is appended to")
                #expect(lines.last?.hasSuffix("level=error msg=\"container does not exist: nobody\"") == true)
                let absent = try Running(Build.binary, ["--log", "/no/such/log", "list"]).finish()
                #expect(absent.code == 1)
                #expect(absent.err == "kvm-runtime: can't open the log /no/such/log: No such file or directory\n")
            }
        }

        /// What went wrong in the guest comes to the log of `run` as well, as one line.
        @Test func failureOfARunIsLogged() throws {
            try Host.use { host in
                host.globals += ["--log-format", "json"]
                _ = try host.run(try host.bundle { $0.set("process.args", ["no-such-program"]) })
                let lines = try Files.text(host.log).split(separator: "\n").map { try JSONValue.parse(String($0)) }
                let errors = lines.filter { $0["level"] == "error" }
                #expect(
                    errors.map { $0["msg"]?.string } == [
                        "exec: \"no-such-program\": executable file not found in $PATH"
                    ])
            }
        }
    }
}

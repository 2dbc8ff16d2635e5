import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What is wrong with a bundle is said in one line, before anything starts.
    @Suite struct BundleErrors {
        /// A way to spoil a bundle, and what must be said of it.
        struct Fault: CustomTestStringConvertible, Sendable {
            let testDescription: String
            let words: [String]
            let spoil: @Sendable (inout JSONValue) -> Void

            init(_ name: String, _ words: String..., spoil: @escaping @Sendable (inout JSONValue) -> Void) {
                testDescription = name
                self.words = words
                self.spoil = spoil
            }
        }

        /// One line with these words, and nothing else, and nothing was started.
        private func expectRefusal(_ outcome: Outcome, _ words: [String], sourceLocation: SourceLocation) {
            #expect(outcome.code == 1, sourceLocation: sourceLocation)
            #expect(outcome.out.isEmpty, sourceLocation: sourceLocation)
            let lines = outcome.err.split(separator: "\n")
            #expect(lines.count == 1, "\(outcome.err)", sourceLocation: sourceLocation)
            #expect(lines.first?.hasPrefix("kvm-runtime: ") == true, "\(outcome.err)", sourceLocation: sourceLocation)
            for word in words {
                #expect(outcome.err.contains(word), "\(outcome.err)", sourceLocation: sourceLocation)
            }
        }

        @Test func bundleIsNotThere() throws {
            try Host.use { host in
                let outcome = try host.command("run", "--bundle", "/no/such/bundle", host.id)
                expectRefusal(
                    outcome, ["bundle /no/such/bundle", "No such file or directory"], sourceLocation: #_sourceLocation)
            }
        }

        @Test func configurationIsNotThere() throws {
            try Host.use { host in
                let outcome = try host.command("run", "--bundle", host.directory, host.id)
                expectRefusal(
                    outcome, ["\(host.directory)/config.json not found", "kvm-runtime spec"],
                    sourceLocation: #_sourceLocation)
            }
        }

        @Test(arguments: [
            ("{\n  \"ociVersion\": \"1.0.2\",\n  oops\n}\n", "line 3, column 3"), ("", "line 1, column 1"),
            ("{\"ociVersion\": \"1.0.2\"", "line 1, column 23"), ("[]", "expected an object"),
        ])
        func configurationIsNotJSON(text: String, words: String) throws {
            try Host.use { host in
                let bundle = try host.bundle("echo never")
                try Files.write(bundle.path + "/config.json", text)
                expectRefusal(
                    try host.run(bundle), ["\(bundle.path)/config.json: ", words], sourceLocation: #_sourceLocation)
            }
        }

        @Test(arguments: [
            Fault("wrong type", "process.args[1]", "expected a string") { $0.set("process.args", ["sh", 5]) },
            Fault("wrong type, deeper", "linux.resources.memory.limit") {
                $0.set("linux.resources.memory", ["limit": "much"])
            },
            Fault("future version", "ociVersion", "2.0.0") { $0.set("ociVersion", "2.0.0") },
            Fault("no version", "ociVersion") { $0.set("ociVersion", nil) },
            Fault("no process", "process", "missing") { $0.set("process", nil) },
            Fault("no args", "process.args", "empty") { $0.set("process.args", []) },
            Fault("relative cwd", "process.cwd", "absolute") { $0.set("process.cwd", "work") },
            Fault("unknown rlimit", "process.rlimits[0].type", "RLIMIT_NONE") {
                $0.set("process.rlimits.0.type", "RLIMIT_NONE")
            },
            Fault("unknown capability", "process.capabilities", "CAP_NONE") {
                $0.append("process.capabilities.bounding", "CAP_NONE")
            },
            Fault("no root", "root", "missing") { $0.set("root", nil) },
            Fault("rootfs missing", "invalid rootfs", "/nothing", "No such file or directory") {
                $0.set("root.path", "nothing")
            },
            Fault("rootfs is a file", "invalid rootfs", "not a directory") { $0.set("root.path", "config.json") },
            Fault("hostname without a namespace", "hostname", "uts namespace") {
                $0.remove("linux.namespaces") { $0["type"] == "uts" }
            },
            Fault("memory policy", "linux.memoryPolicy.nodes: MPOL_BIND needs at least one node") {
                $0.set("linux.memoryPolicy", ["mode": "MPOL_BIND"])
            },
            Fault("bad sysctl", "linux.sysctl") { $0.set("linux.sysctl", ["../etc": "1"]) },
        ])
        func configurationIsInvalid(_ fault: Fault) throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("echo never", fault.spoil))
                expectRefusal(outcome, fault.words, sourceLocation: #_sourceLocation)
            }
        }

        /// What kvm-runtime can't do is named: to run the container without it would be to run another one.
        @Test(arguments: [
            Fault("seccomp listener", "linux.seccomp.listenerPath", "is not supported") {
                $0.set("linux.seccomp", ["defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/s"])
            },
            Fault(
                "namespace of the host",
                "linux.namespaces[1].path: /proc/\(getpid())/ns/net is no namespace of a container"
            ) {
                $0.set("linux.namespaces.1.path", .string("/proc/\(getpid())/ns/net"))
            },
            Fault("cache and bandwidth", "linux.intelRdt is not supported") {
                $0.set("linux.intelRdt", ["closID": "x"])
            },
            Fault("memory node", "linux.memoryPolicy.nodes: node 1 is not there: the guest has one memory node") {
                $0.set("linux.memoryPolicy", ["mode": "MPOL_BIND", "nodes": "0-1"])
            },
            Fault("memory policy", "linux.memoryPolicy.mode: MPOL_WEIGHTED_INTERLEAVE needs Linux 6.9") {
                $0.set("linux.memoryPolicy", ["mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"])
            },
            Fault("AppArmor", "process.apparmorProfile is not supported") {
                $0.set("process.apparmorProfile", "docker-default")
            },
            Fault("SELinux", "process.selinuxLabel") { $0.set("process.selinuxLabel", "a:b:c") },
            Fault("file system", "mounts[7].type", "nfs is not supported") {
                $0.append("mounts", ["destination": "/x", "type": "nfs", "source": "server:/x"])
            },
            Fault("mount option", "mounts[7].options[1]", "size=5 is not supported") {
                $0.append(
                    "mounts", ["destination": "/x", "type": "bind", "source": "/tmp", "options": ["bind", "size=5"]])
            },
            Fault("several at once", "linux.mountLabel", "process.selinuxLabel") {
                $0.set("linux.mountLabel", "l")
                $0.set("process.selinuxLabel", "l")
            },
        ])
        func whatIsNotSupportedIsNamed(_ fault: Fault) throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle("echo never", fault.spoil))
                expectRefusal(outcome, fault.words, sourceLocation: #_sourceLocation)
            }
        }
    }
}

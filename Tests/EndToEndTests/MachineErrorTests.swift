import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// What goes wrong with programs, files and guests: a line that says what, the guest's last words, nothing left.
    @Suite struct MachineErrors {
        // MARK: The container's program

        @Test func programIsNotInPath() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle { $0.set("process.args", ["no-such-program"]) })
                #expect(outcome.code == 127)
                #expect(outcome.err == "kvm-runtime: exec: \"no-such-program\": executable file not found in $PATH\n")
            }
        }

        @Test func programIsNotThere() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle { $0.set("process.args", ["/no/such"]) })
                #expect(outcome.code == 127)
                #expect(outcome.err == "kvm-runtime: exec: \"/no/such\": stat /no/such: no such file or directory\n")
            }
        }

        @Test func programIsNotExecutable() throws {
            try Host.use { host in
                let outcome = try host.run(try host.bundle { $0.set("process.args", ["/etc/passwd"]) })
                #expect(outcome.code == 126)
                #expect(outcome.err == "kvm-runtime: exec: \"/etc/passwd\": permission denied\n")
            }
        }

        /// Found and executable, but the kernel can't run it: that shows only when it is started.
        @Test func programIsNoProgram() throws {
            try Host.use { host in
                let bundle = try host.bundle { $0.set("process.args", ["/garbage"]) }
                try Files.write(bundle.rootfs + "/garbage", [0, 1, 2, 3], mode: 0o755)
                let outcome = try host.run(bundle)
                #expect(outcome.code == 126 || outcome.code == 1)
                #expect(outcome.complaints.count == 1 && outcome.console.isEmpty)
                #expect(outcome.err.lowercased().contains("exec format error"), "\(outcome.err)")
            }
        }

        @Test func workingDirectoryIsNotThere() throws {
            try Host.use { host in
                // A missing one is made, as runc does, read-only root or not.
                let made = try host.run(try host.bundle("pwd") { $0.set("process.cwd", "/no/such/place") })
                #expect(made.code == 0 && made.out == "/no/such/place\n", "\(made)")
                // Where none can be made.
                let outcome = try host.run(try host.bundle("echo never") { $0.set("process.cwd", "/proc/no/such") })
                #expect(outcome.code == 1)
                #expect(outcome.complaints.count == 1 && outcome.console.isEmpty, "\(outcome.err)")
                #expect(outcome.err.contains("/no/such"))
            }
        }

        @Test func detachedProgramIsNotThere() throws {
            try Host.use { host in
                let bundle = try host.bundle { $0.set("process.args", ["no-such-program"]) }
                let outcome = try host.run(bundle, ["--detach", "--pid-file", host.directory + "/pid"])
                #expect(outcome.code == 127)
                #expect(outcome.complaints.count == 1)
                #expect(try host.status() == nil)
            }
        }

        // MARK: What a guest is made of

        @Test(arguments: ["qemu", "virtiofsd", "vmm", "kernel", "initramfs"]) func fileIsMissing(key: String) throws {
            try Host.use { host in
                try host.configure("[paths]\n\(key) = \"/no/such/file\"\n")
                let outcome = try host.run("echo never")
                #expect(outcome.code == 1)
                #expect(outcome.complaints.count == 1 && outcome.console.isEmpty)
                // What, where, and what to do.
                #expect(outcome.err.contains("was not found at /no/such/file: "), "\(outcome.err)")
                #expect(outcome.err.contains("paths.\(key)"))
            }
        }

        @Test func kernelOfAnotherPath() throws {
            try Host.use { host in
                host.globals += ["--kernel", "/no/kernel"]
                let missing = try host.run("echo never")
                #expect(missing.err.contains("the guest kernel was not found at /no/kernel"))
                host.globals.removeLast(2)
                host.globals += ["--kernel", Build.kernel, "--initramfs", Build.initramfs]
                let found = try host.run("echo works")
                #expect(found.out == "works\n")
            }
        }

        @Test func kernelIsNoKernel() throws {
            try Host.use { host in
                try Files.write(host.directory + "/vmlinux", String(repeating: "this is no kernel\n", count: 1000))
                try host.configure(
                    "[paths]\nkernel = \"\(host.directory)/vmlinux\"\n[guest]\nboot_timeout_seconds = 10\n")
                let outcome = try host.run("echo never")
                #expect(outcome.code == 1)
                #expect(outcome.complaints.count == 1)
                #expect(outcome.err.contains("qemu") && outcome.err.contains("kernel"), "\(outcome.err)")
            }
        }

        @Test func guestHasNoAgent() throws {
            try Host.use { host in
                let archive = Archive([("dev", Archive.directory, []), ("nothing", Archive.program, [])])
                try Files.write(host.directory + "/initramfs", archive.bytes)
                try host.configure("[paths]\ninitramfs = \"\(host.directory)/initramfs\"\n")
                let outcome = try host.run("echo never")
                #expect(outcome.code == 1)
                #expect(
                    outcome.complaints == [
                        "kvm-runtime: the guest stopped unexpectedly (its kernel panicked or reset)"
                    ])
                #expect(outcome.console.contains { $0.contains("Kernel panic") }, "\(outcome.err)")
            }
        }

        @Test func agentIsSilent() throws {
            try Host.use { host in
                let archive = Archive([
                    ("dev", Archive.directory, []),
                    ("init", Archive.program, Array("#!/busybox sh\n/busybox sleep 1000\n".utf8)),
                    ("busybox", Archive.program, try File.read(Build.busybox, limit: 16 << 20)),
                ])
                try Files.write(host.directory + "/initramfs", archive.bytes)
                try host.configure(
                    "[paths]\ninitramfs = \"\(host.directory)/initramfs\"\n[guest]\nboot_timeout_seconds = 3\n")
                let outcome = try host.run("echo never")
                #expect(outcome.code == 1)
                #expect(outcome.complaints == ["kvm-runtime: the guest's agent did not call within 3 s"])
            }
        }

        @Test func hypervisorIsNoHypervisor() throws {
            try Host.use { host in
                try Files.write(
                    host.directory + "/qemu", "#!/bin/sh\necho 'no machine today' >&2\nexit 5\n", mode: 0o755)
                try host.configure("[paths]\nqemu = \"\(host.directory)/qemu\"\n")
                let outcome = try host.run("echo never")
                #expect(outcome.code == 1)
                #expect(outcome.complaints == ["kvm-runtime: qemu exited with code 5: no machine today"])
            }
        }

        @Test func memoryIsNotToBeHad() throws {
            try Host.use { host in
                // Not the host's lack of memory, which no test can arrange, but a limit that QEMU runs into.
                try Files.write(
                    host.directory + "/qemu",
                    "#!/bin/sh\nulimit -v 300000\nexec qemu-system-x86_64 \"$@\"\n", mode: 0o755)
                try host.configure(
                    "[paths]\nqemu = \"\(host.directory)/qemu\"\n[guest]\ndefault_memory_mib = 1024\n")
                let outcome = try host.run("echo never")
                #expect(outcome.code == 1)
                #expect(outcome.complaints.count == 1)
                #expect(
                    outcome.err.contains("qemu exited") && outcome.err.contains("annot allocate memory"),
                    "\(outcome.err)")
            }
        }

        @Test func configurationFileIsWrong() throws {
            try Host.use { host in
                try host.configure("[guest]\n\ndefault_vcpus = \"many\"\n")
                let outcome = try host.run("echo never")
                #expect(outcome.code == 1)
                let place = "configuration \(host.directory)/config.toml, line 3: "
                #expect(
                    outcome.err
                        == "kvm-runtime: \(place)guest.default_vcpus must be a whole number from 1 to 64\n")
            }
        }
    }
}

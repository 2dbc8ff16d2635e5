import Glibc
import JSON
import LinuxSys
import Testing

extension EndToEnd {
    /// systemd as a container's init: this machine's own, with a root of its own.
    @Suite(.enabled(if: obstacle == nil, "\(obstacle ?? "")")) struct SystemdAsInit {
        private func bundle(_ host: Host) throws -> Bundle {
            let bundle = try host.bundleOfThisMachine { config in
                config.set("process.args", ["/usr/lib/systemd/systemd"])
                config.set(
                    "process.env", ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "container=oci"])
                for set in ["bounding", "effective", "permitted"] {
                    config.set(
                        "process.capabilities.\(set)",
                        [
                            "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID",
                            "CAP_SETPCAP", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
                        ])
                }
                for place in ["/run/lock", "/var/log/journal"] {
                    config.append("mounts", ["destination": .string(place), "type": "tmpfs", "source": "tmpfs"])
                }
            }
            let root = bundle.rootfs
            for name in ["var/log/journal", "var/lib", "etc/systemd/system"] {
                try File.makeDirectories("\(root)/\(name)", mode: 0o755)
            }
            try Files.write(root + "/etc/machine-id", "")
            symlink("/usr/lib/systemd/system/multi-user.target", root + "/etc/systemd/system/default.target")
            // What the machine has beside systemd is not of interest, and not to be started.
            for unit in [
                "dbus.service", "dbus.socket", "systemd-logind.service", "getty.target", "systemd-sysctl.service",
            ] {
                symlink("/dev/null", "\(root)/etc/systemd/system/\(unit)")
            }
            return bundle
        }

        @Test func multiUserAndOut() throws {
            try Host.use { host in
                let run = try host.starting(try bundle(host), ["--detach"])
                #expect(try run.finish(readingToTheEnd: false).code == 0)
                func inside(_ words: String...) throws -> Outcome {
                    try host.start(["exec", host.id] + words).finish()
                }
                let isUp = try eventually(within: 90) {
                    try inside("systemctl", "is-active", "multi-user.target").out == "active\n"
                }
                let jobs = try inside("systemctl", "--no-pager", "list-jobs")
                #expect(isUp, "\(jobs)")
                let journal = try inside("journalctl", "--no-pager", "--boot", "--unit", "init.scope", "--lines", "50")
                #expect(journal.code == 0, "\(journal)")
                #expect(try inside("sh", "-c", "journalctl --no-pager | grep -c 'Reached target'").code == 0)
                // As everybody means it: a clean end, with 0.
                #expect(try host.command("kill", host.id, "TERM").code == 0)
                #expect(eventually(within: 60) { (try? host.status()) == "stopped" })
                let record = try JSONValue.parse(try File.read("\(host.root)/\(host.id)/state.json", limit: 1 << 20))
                #expect(record["exitCode"] == 0)
                #expect(try host.command("delete", host.id).code == 0)
            }
        }
    }
}

private let obstacle: String? =
    ["/usr/lib/systemd/systemd", "/usr/bin/journalctl", "/usr/sbin/init"].allSatisfy(File.exists)
    ? nil : "systemd and systemd-sysv are not installed"

import Glibc
import JSON
import LinuxSys

extension Host {
    /// A bundle with this machine's /usr in the place of busybox, read-only, and cgroups that it may write to, for programs
    /// that expect a whole system.
    func bundleOfThisMachine(_ edit: (inout JSONValue) -> Void) throws -> Bundle {
        let bundle = try bundle("true") { config in
            config.set("process.noNewPrivileges", false)
            config.set("root.readonly", false)
            config.append("linux.namespaces", ["type": "cgroup"])
            config.remove("mounts") { $0["destination"] == "/sys/fs/cgroup" }
            config.append(
                "mounts",
                ["destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]])
            for place in ["/run", "/tmp"] {
                config.append("mounts", ["destination": .string(place), "type": "tmpfs", "source": "tmpfs"])
            }
            config.append("mounts", ["destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]])
            edit(&config)
        }
        let root = bundle.rootfs
        Files.removeTree(root + "/bin")
        for name in ["bin", "sbin", "lib", "lib64"] { symlink("usr/" + name, "\(root)/\(name)") }
        for name in ["usr", "run"] { try File.makeDirectories("\(root)/\(name)", mode: 0o755) }
        return bundle
    }
}

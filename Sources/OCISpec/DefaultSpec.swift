extension Spec {
    /// What `kvm-runtime spec` writes: the same as `runc spec` of runc 1.1.5, to the letter, because people and
    /// scripts take that as their starting point. Written with `json.bytes(.tabs)`.
    public static var `default`: Spec {
        var spec = Spec(
            ociVersion: "1.0.2-dev", process: defaultProcess, root: Root(path: "rootfs", readonly: true),
            linux: defaultLinux)
        spec.hostname = "runc"
        spec.mounts = defaultMounts
        return spec
    }

    private static var defaultProcess: Process {
        let names = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        var capabilities = Process.Capabilities()
        capabilities.bounding = names
        capabilities.effective = names
        capabilities.permitted = names
        capabilities.ambient = names

        var process = Process(args: ["sh"])
        process.terminal = true
        process.env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]
        process.capabilities = capabilities
        process.rlimits = [Process.Rlimit(type: "RLIMIT_NOFILE", hard: 1024, soft: 1024)]
        process.noNewPrivileges = true
        return process
    }

    private static var defaultMounts: [Mount] {
        [
            Mount(destination: "/proc", type: "proc", source: "proc"),
            Mount(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            Mount(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            Mount(
                destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            Mount(
                destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
            Mount(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ]
    }

    private static var defaultLinux: Linux {
        var resources = Linux.Resources()
        resources.devices = [Linux.DeviceRule(allow: false, access: "rwm")]

        var linux = Linux()
        linux.resources = resources
        linux.namespaces = [.pid, .network, .ipc, .uts, .mount].map { Linux.Namespace($0) }
        linux.maskedPaths = [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ]
        linux.readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        return linux
    }
}

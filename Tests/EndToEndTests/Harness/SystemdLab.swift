import Glibc
import LinuxSys
import Testing

/// A systemd of its own for a test: the real one, as the first process of a pid namespace, with a /run of its own and in
/// cgroups of its own below those of this machine. It knows one service, which is a script of the test's.
struct SystemdLab {
    /// How its cgroups are mounted.
    enum Form: String, CaseIterable {
        /// v2 alone. Where this machine's controllers are bound to v1, it has none.
        case unified
        /// v1 with its controllers, and v2 beside it.
        case hybrid
    }

    private static let programs = ["/lib/systemd/systemd", "/bin/systemctl", "/usr/bin/unshare", "/bin/bash"]
    static let missing = programs.filter { !File.isExecutable($0) }
    static let isComplete = missing.isEmpty && !mounts.isEmpty
    static let reason: Comment =
        missing.isEmpty ? "there are no cgroups here" : "missing: \(missing.joined(separator: ", "))"
    /// Of the cgroups' hierarchies.
    static let mounts: [(directory: String, options: String, isUnified: Bool)] = {
        ((try? Files.text("/proc/self/mounts")) ?? "").split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count > 3, words[2].hasPrefix("cgroup") else { return nil }
            return (words[1], words[3], words[2] == "cgroup2")
        }
    }()
    static var hasHybrid: Bool { mounts.contains(where: \.isUnified) && mounts.contains { !$0.isUnified } }

    let directory: String
    private let name: String
    private let form: Form

    /// - Parameter service: a script; what it prints is the result
    init(_ host: Host, _ form: Form, service: String) throws {
        directory = host.directory
        name = host.id + "-systemd"
        self.form = form
        try Files.write(directory + "/service.sh", "#!/bin/bash\nexec 2>&1\n" + service, mode: 0o755)
        try Files.write(
            directory + "/systemd.sh", Self.firstProcess(directory, Self.mounting(form)), mode: 0o755)
    }

    /// What becomes systemd, once it has mounted what is systemd's.
    static func firstProcess(_ directory: String, _ mounting: String) -> String {
        """
        #!/bin/bash
        set -e
        mount --make-rprivate /
        mount -t proc proc /proc
        mount -t tmpfs -o mode=755 tmpfs /run
        \(mounting)
        mkdir -p /run/systemd/system
        cd /run/systemd/system
        printf '%s\\n' [Unit] DefaultDependencies=no Requires=lab.service After=lab.service >lab.target
        printf '%s\\n' [Unit] DefaultDependencies=no [Service] Type=oneshot ExecStart=\(directory)/service.sh \
            StandardOutput=append:\(directory)/service.out 'ExecStopPost=/bin/systemctl exit 3' >lab.service
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lab \
            /lib/systemd/systemd --unit=lab.target --log-target=console

        """
    }

    private static func mounting(_ form: Form) -> String {
        let away = "while umount -R /sys/fs/cgroup 2>/dev/null; do :; done\n"
        guard form == .hybrid else { return away + "mount -t cgroup2 cgroup2 /sys/fs/cgroup" }
        var lines = ["mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup"]
        for mount in mounts where !mount.isUnified {
            let own = mount.options.split(separator: ",").filter {
                !["rw", "relatime", "nosuid", "nodev", "noexec"].contains($0)
            }
            let options = own.contains { $0.hasPrefix("name=") } ? ["none"] + own : own
            let place = own.contains("name=systemd") ? "systemd" : own.joined(separator: ",")
            lines.append("mkdir -p /sys/fs/cgroup/\(place)")
            lines.append("mount -t cgroup -o \(options.joined(separator: ",")) cgroup /sys/fs/cgroup/\(place)")
        }
        lines.append("mkdir -p /sys/fs/cgroup/systemd /sys/fs/cgroup/unified")
        lines.append(
            "mountpoint -q /sys/fs/cgroup/systemd || mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd"
        )
        lines.append("mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified")
        return away + lines.joined(separator: "\n")
    }

    /// What the service printed.
    func run() throws -> String {
        let places = Self.mounts.filter { form == .hybrid || $0.isUnified }.map { $0.directory + "/" + name }
        defer { for place in places { Self.removeTree(place) } }
        let joining = places.map { place in
            """
            mkdir -p \(place)
            for file in cpuset.cpus cpuset.mems; do
                [[ ! -f \(place)/../$file ]] || cat \(place)/../$file >\(place)/$file
            done
            echo $$ >\(place)/cgroup.procs

            """
        }
        try Files.write(
            directory + "/join.sh",
            joining.joined() + "exec unshare --fork --pid --mount --cgroup --kill-child \(directory)/systemd.sh\n")
        let outcome = try Running("/bin/bash", [directory + "/join.sh"]).finish(until: Deadline(seconds: 100))
        let printed = (try? Files.text(directory + "/service.out")) ?? ""
        guard outcome.code == 3 else { throw Trouble("systemd ended with \(outcome.code): \(outcome.err) \(printed)") }
        return printed
    }

    private static func removeTree(_ cgroup: String) {
        for name in (try? File.list(cgroup)) ?? [] where File.isDirectory(cgroup + "/" + name) {
            removeTree(cgroup + "/" + name)
        }
        rmdir(cgroup)
    }
}

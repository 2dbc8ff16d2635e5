import CLinux
import LinuxSys

/// What the host's kernel is set up for.
enum KernelCheck {
    static var isRoot: Bool { geteuid() == 0 }

    private static let cgroup2Magic = 0x6367_7270
    private static let tmpfsMagic = 0x0102_1994

    /// By the file systems' kinds: v2 alone is a cgroup2 at the root; v1 and hybrid are a tmpfs with mounts below.
    static func cgroups(_ root: String) -> CheckItem {
        switch fileSystem(root) {
        case cgroup2Magic: CheckItem("cgroups", .ok, "v2")
        case tmpfsMagic where fileSystem(root + "/unified") == cgroup2Magic:
            CheckItem("cgroups", .ok, "hybrid: v1 controllers, an empty v2 tree")
        case tmpfsMagic: CheckItem("cgroups", .ok, "v1")
        case nil:
            CheckItem(
                "cgroups", .missing, "nothing at \(root)",
                advice: "guests run without limits from outside: mount -t cgroup2 none \(root)")
        default:
            CheckItem(
                "cgroups", .missing, "another file system at \(root)",
                advice: "guests run without limits from outside: mount -t cgroup2 none \(root)")
        }
    }

    private static func fileSystem(_ path: String) -> Int? {
        var information = statfs()
        return statfs(path, &information) == 0 ? Int(information.f_type) : nil
    }

    /// User namespaces: only who is not root needs them.
    static func userNamespaces(_ proc: String, isRoot: Bool) -> CheckItem {
        func item(_ status: CheckItem.Status, _ detail: String, _ advice: String? = nil) -> CheckItem {
            CheckItem("user namespaces", status, detail, advice: advice)
        }
        guard let most = number(proc + "/sys/user/max_user_namespaces") else {
            return item(.missing, "not in this kernel", "run as root: only root can share trees with a guest")
        }
        if most == 0 {
            return item(.unfit, "max_user_namespaces is 0", "sysctl user.max_user_namespaces=10000, or run as root")
        }
        // Debian's switch and Ubuntu's; other kernels have neither.
        if !isRoot, number(proc + "/sys/kernel/unprivileged_userns_clone") == 0 {
            return item(.unfit, "for root only", "sysctl kernel.unprivileged_userns_clone=1, or run as root")
        }
        if !isRoot, number(proc + "/sys/kernel/apparmor_restrict_unprivileged_userns") == 1 {
            return item(
                .unfit, "restricted by AppArmor",
                "give kvm-runtime an AppArmor profile with userns, or "
                    + "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root")
        }
        return item(.ok, "at most \(most)")
    }

    private static func number(_ path: String) -> UInt64? {
        guard let bytes = try? File.read(path, limit: 64) else { return nil }
        return UInt64(String(decoding: bytes.prefix { $0 >= 0x30 && $0 <= 0x39 }, as: UTF8.self))
    }
}

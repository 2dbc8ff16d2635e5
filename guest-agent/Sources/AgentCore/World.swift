import CLinux
import Cgroup
import LinuxSys

/// The guest's own file systems, limits and kernel parameters.
///
/// /proc is there before main (CInit). Nothing of the rest is needed for the first word to the host, so it is made
/// while the host answers.
enum World {
    /// Where the agent keeps its things. Containers with users of their own go through it, and read nothing.
    static let directory = "/run/kvm"
    /// Sockets that containers were handed.
    static let passed = directory + "/passed"

    static func make() {
        makeRootMovable()
        mount("sysfs", "/sys", hardened)
        mount("devtmpfs", "/dev", UInt(MS_NOSUID), "mode=0755")
        mount("tmpfs", "/run", UInt(MS_NOSUID), "mode=0755")
        GuestConsole.trace("mounts")
        mount("cgroup2", CgroupTree().root, hardened, "nsdelegate,memory_recursiveprot")
        GuestConsole.trace("cgroup2")
        for name in ["", "/share", "/root", "/sockets", "/disk"] { mkdir(directory + name, 0o711) }
        mkdir(passed, 0o700)
        raiseLimits()
        for (parameter, value) in parameters { write(value, to: "/proc/sys/\(parameter)") }
        GuestConsole.trace("limits and parameters")
    }

    /// For a container that shares the guest's network.
    static func makeNetwork() {
        if clinux_loopback_up() != 0 { GuestConsole.say("lo: \(Errno.current)") }
    }

    /// Larger reads of a share: a program's start reads much of its file, and each request is a journey to the host.
    static func readAhead(of share: String) {
        var status = stat()
        guard stat(share, &status) == 0 else { return }
        let major = (status.st_dev >> 8) & 0xfff
        let minor = (status.st_dev & 0xff) | ((status.st_dev >> 12) & 0xfff00)
        write("1024", to: "/sys/class/bdi/\(major):\(minor)/read_ahead_kb")
    }

    /// What only a container without a mount namespace of its own gets to see; the others needn't wait for it.
    static func makeForSharing() {
        mount("devpts", "/dev/pts", UInt(MS_NOSUID) | UInt(MS_NOEXEC), "mode=0620,gid=5,ptmxmode=0666")
        mount("tmpfs", "/dev/shm", UInt(MS_NOSUID) | UInt(MS_NODEV), "mode=1777")
        mount("mqueue", "/dev/mqueue", hardened)
        mount("tmpfs", "/tmp", UInt(MS_NOSUID) | UInt(MS_NODEV), "mode=1777")
    }

    private static let hardened = UInt(MS_NOSUID) | UInt(MS_NODEV) | UInt(MS_NOEXEC)

    /// What servers have today, where the kernel's defaults are of older times: databases map much memory, and tools
    /// that watch files need more than 128 inotify instances.
    private static let parameters: [(String, String)] = [
        ("vm/max_map_count", "1048576"),
        // What is only reserved is measured against a host's memory elsewhere; here the container's limit decides, and an OOM
        // kill is what its caller knows.
        ("vm/overcommit_memory", "1"),
        ("fs/inotify/max_user_instances", "8192"),
        ("fs/inotify/max_user_watches", "1048576"),
    ]

    /// pivot_root(2) can't leave the initramfs, as it has no parent. A bind mount of it, moved over it, has one.
    private static func makeRootMovable() {
        let staging = "/mnt"
        mkdir(staging, 0o755)
        do throws(Errno) {
            _ = try once { CLinux.mount("/", staging, nil, UInt(MS_BIND) | UInt(MS_REC), nil) }
            try moveRoot(from: staging)
        } catch {
            GuestConsole.say("root: \(error)")
        }
    }

    /// Has what is mounted at a place for the root, of the kernel's threads too.
    static func moveRoot(from place: String) throws(Errno) {
        _ = try once { chdir(place) }
        _ = try once { CLinux.mount(".", "/", nil, UInt(MS_MOVE), nil) }
        _ = try once { chroot(".") }
        _ = try once { chdir("/") }
    }

    private static func mount(_ type: String, _ path: String, _ flags: UInt, _ data: String = "") {
        mkdir(path, 0o755)
        if CLinux.mount(type, path, type, flags, data) != 0 {
            GuestConsole.say("mounting \(type) on \(path): \(Errno.current)")
        }
    }

    private static func write(_ value: String, to path: String) {
        do throws(Errno) {
            try FileDescriptor.open(path, O_WRONLY).writeAll(Array(value.utf8))
        } catch {
            GuestConsole.say("\(path): \(error)")
        }
    }

    /// Containers without rlimits of their own inherit these: the soft ones are the kernel's, the hard ones leave
    /// room, as a server's init does.
    private static func raiseLimits() {
        let unlimited = rlim_t.max
        let limits: [(__rlimit_resource, rlim_t, rlim_t)] = [
            // The agent's own; a container's soft one is set by the child (room_set_limits).
            (RLIMIT_NOFILE, 65536, 1_048_576), (__RLIMIT_NPROC, unlimited, unlimited), (RLIMIT_CORE, 0, unlimited),
            (__RLIMIT_MEMLOCK, 8 << 20, unlimited),
        ]
        for (resource, soft, hard) in limits {
            var limit = rlimit(rlim_cur: soft, rlim_max: hard)
            if setrlimit(__rlimit_resource_t(resource.rawValue), &limit) != 0 {
                GuestConsole.say("limit \(resource.rawValue): \(Errno.current)")
            }
        }
    }
}

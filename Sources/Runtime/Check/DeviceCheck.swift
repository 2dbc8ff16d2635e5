import Glibc
import LinuxSys

/// Devices of the host's kernel that make things faster or possible, and that no container needs.
enum DeviceCheck {
    static func items(_ folder: String) -> [CheckItem] {
        [
            item(
                "vhost-vsock", "\(folder)/vhost-vsock",
                "no loss: the agent is reached through a user-space back end; modprobe vhost_vsock for the kernel's"),
            item(
                "vhost-net", "\(folder)/vhost-net",
                "no loss but some of the network's speed: modprobe vhost_net for the kernel's back end"),
            item(
                "tun", "\(folder)/net/tun",
                "guests have no network but their own: modprobe tun, or mknod /dev/net/tun c 10 200"),
        ]
    }

    private static func item(_ name: String, _ path: String, _ advice: String) -> CheckItem {
        if access(path, R_OK | W_OK) == 0 { return CheckItem(name, .ok, path) }
        let error = Errno.current
        if error == .accessDenied || error == .notPermitted {
            return CheckItem(name, .unfit, "\(path) is not for this user", advice: "run as root, or: \(advice)")
        }
        return CheckItem(name, .missing, "\(path): \(error)", advice: advice)
    }
}

import OCISpec

/// The nodes and links of a container's /dev (config-linux.md, "Default Devices").
enum DeviceCompiler {
    private static let defaults: [(path: String, major: UInt32, minor: UInt32)] = [
        ("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8), ("/dev/urandom", 1, 9),
        ("/dev/tty", 5, 0),
    ]

    // No /dev/core: runc links it where there is a /proc/kcore, and the guest's kernel has none.
    private static let links: [(path: String, to: String)] = [
        ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ]

    /// - Parameter all: the container may use every device, which is how callers ask for privileges: it gets those of the
    ///   guest. What is listed are the host's then, of which those count that the guest has too.
    static func operations(listed: [Linux.Device], all: Bool) -> [JailOperation] {
        let paths = Set(listed.map { clean($0.path) })
        var operations: [JailOperation] = []
        for device in defaults where !paths.contains(device.path) {
            let node = JailOperation.Node(mode: 0o020666, major: device.major, minor: device.minor)
            operations.append(
                JailOperation(
                    .device(node, .unlessNamed), target: device.path, subject: "device \(device.path)"))
        }
        for (index, device) in listed.enumerated() {
            // The multiplexer is the container's own, of its devpts.
            guard clean(device.path) != "/dev/ptmx" else { continue }
            operations.append(
                JailOperation(
                    .device(node(device), all ? .ofTheGuest : .exactly), target: device.path,
                    subject: "linux.devices[\(index)] \(quoted(device.path))"))
        }
        operations.append(
            JailOperation(.symlink(to: "pts/ptmx", replacing: true), target: "/dev/ptmx", subject: "/dev/ptmx"))
        if all { operations.append(JailOperation(.guestDevices, target: "/dev", subject: "the guest's devices")) }
        for link in links {
            operations.append(
                JailOperation(.symlink(to: link.to, replacing: false), target: link.path, subject: link.path))
        }
        return operations
    }

    private static func node(_ device: Linux.Device) -> JailOperation.Node {
        let type: UInt32 =
            switch device.type {
            case .character, .unbufferedCharacter: 0o020000
            case .block: 0o060000
            case .fifo: 0o010000
            }
        return JailOperation.Node(
            mode: type | device.permissions, major: UInt32(clamping: device.major),
            minor: UInt32(clamping: device.minor), uid: device.uid ?? 0, gid: device.gid ?? 0)
    }

    /// Without doubled and trailing slashes.
    private static func clean(_ path: String) -> String {
        "/" + path.split(separator: "/").joined(separator: "/")
    }
}

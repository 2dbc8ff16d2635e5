import Glibc
import LinuxSys
import OCISpec

/// systemd as a container's init takes SIGTERM for "execute yourself anew", where every caller means "come to an end": it is
/// sent what it calls so (systemd(1), "Signals").
enum InitSignals {
    /// SIGRTMIN+3 of the kernel's numbers: halt.
    static let halt: Int32 = 37

    private static let names: Set<String> = [
        "/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd",
    ]

    /// What is sent in the place of `signal`.
    static func translate(_ signal: Int32, for process: Process?, rootfs: String) -> Int32 {
        guard signal == SIGTERM, let program = process?.args.first, isSystemd(program, rootfs) else { return signal }
        return halt
    }

    /// By its name, or by where the image's init leads. Nothing is opened: the image is not trusted.
    private static func isSystemd(_ program: String, _ rootfs: String) -> Bool {
        guard names.contains(program) else { return false }
        if program.hasSuffix("/systemd") { return true }
        guard let target = try? File.readLink(rootfs + program) else { return false }
        return target.split(separator: "/").last == "systemd"
    }
}

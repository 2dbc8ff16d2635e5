import AgentProtocol
import CLinux
import LinuxSys

/// The guest's root from an image, in the place of the initramfs: what the kernel runs by itself (a program of core_pattern,
/// kernel.modprobe), and whoever looks at the agent's root, sees that tree. The agent goes on from the initramfs: it is
/// static, and needs nothing of the image.
enum RootImage {
    private static let place = World.directory + "/image"
    /// Of the initramfs; empty.
    private static let staging = "/mnt"
    /// What the guest has mounted, which moves along.
    private static let own = ["/proc", "/sys", "/dev", "/run"]

    /// Mounts the disk, with an overlay in memory on top, and makes that the root.
    static func enter(_ disk: GuestDisk) throws(Failure) {
        try step("mounting it in the guest as \(disk.type)") { () throws(Errno) in
            _ = try once { mkdir(place, 0o700) }
            try Disks.attach(disk, place)
        }
        GuestConsole.trace("image")
        try step("making it the guest's root") { () throws(Errno) in
            _ = try once { mount(place, staging, nil, UInt(MS_MOVE), nil) }
            // What the overlay is made of needs no place any more.
            _ = try once { umount2(place, CInt(MNT_DETACH)) }
            rmdir(place)
            // Containers with users of their own go through it to theirs.
            var status = stat()
            _ = try once { stat(staging, &status) }
            _ = try once { chmod(staging, status.st_mode & 0o7777 | 0o111) }
        }
        for path in own {
            try step("its \(path), where the guest's own goes") { () throws(Errno) in try makeDirectory(staging + path)
            }
        }
        try step("making it the guest's root") { () throws(Errno) in
            for path in own { _ = try once { mount(path, staging + path, nil, UInt(MS_MOVE), nil) } }
            try World.moveRoot(from: staging)
        }
        GuestConsole.trace("root")
    }

    /// A directory of the image's own: a symlink would lead out of it.
    private static func makeDirectory(_ path: String) throws(Errno) {
        if mkdir(path, 0o755) == 0 { return }
        let error = Errno.current
        guard error == .fileExists else { throw error }
        var status = stat()
        _ = try once { lstat(path, &status) }
        guard status.st_mode & mode_t(S_IFMT) == mode_t(S_IFDIR) else { throw .notDirectory }
    }

    private static func step(_ what: String, _ body: () throws(Errno) -> Void) throws(Failure) {
        do throws(Errno) { try body() } catch {
            // Nobody can write to the disk, and so not do that either.
            let words = error.rawValue == EROFS ? "its journal must be replayed first, which e2fsck does" : error.words
            throw Failure(kind: .container, message: "\(what): \(words)")
        }
    }
}

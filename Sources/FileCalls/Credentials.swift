import CFileCalls
import CLinux
import LinuxSys

/// As whom the calling thread makes files. Belongs to one thread, which `adopt` was called on.
public struct ThreadCredentials: ~Copyable {
    private var uid: UInt32 = 0
    private var gid: UInt32 = 0
    private var mask: UInt32 = 0
    private var keepsSetID = true
    private let hasOwnMask: Bool
    private let firstMask: mode_t

    /// Gives the calling thread an umask of its own.
    public init() {
        hasOwnMask = cfile_unshare_umask() == 0
        firstMask = umask(0)
    }

    /// The thread is what it was; to be called on it.
    deinit {
        if uid != 0 || gid != 0 { cfile_set_creator(0, 0) }
        if !keepsSetID { cfile_set_fsetid(1) }
        _ = umask(firstMask)
    }

    /// Files that are made from now on belong to these, and the umask applies to them. Set-group-ID stays in their mode:
    /// who serves a guest gets it only where the guest's kernel has found it allowed.
    public mutating func create(uid: UInt32, gid: UInt32, umask newMask: UInt32) {
        keepSetID(true)
        if uid != self.uid || gid != self.gid {
            cfile_set_creator(uid, gid)
            self.uid = uid
            self.gid = gid
        }
        if newMask != mask, hasOwnMask {
            _ = umask(mode_t(truncatingIfNeeded: newMask & 0o777))
            mask = newMask
        }
    }

    /// Whether a write, a truncation or a change of mode leaves set-user-ID and set-group-ID bits as they are
    /// (CAP_FSETID).
    public mutating func keepSetID(_ keeps: Bool) {
        guard keeps != keepsSetID, cfile_set_fsetid(keeps ? 1 : 0) == 0 else { return }
        keepsSetID = keeps
    }
}

/// What a process that serves files to a guest gives up, and what it keeps.
public enum FileServerJail {
    /// Capabilities stay when a thread makes files as another user. Before any thread is made, and before `limit`.
    public static func prepare() throws(Errno) { _ = try once { cfile_keep_capabilities() } }

    /// Keeps CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SETUID, SETGID, MKNOD and SETFCAP.
    public static func limit() throws(Errno) { _ = try once { cfile_limit_capabilities() } }
}

/// Trees of the host, for those who hand them to a file server.
public enum DetachedTree {
    /// A copy of the mount at an absolute path that is in no mount table: nothing is left when its descriptor is closed.
    /// In it no device can be opened, whatever the host's mount allows.
    public static func open(_ path: String, recursive: Bool, readOnly: Bool) throws(Errno) -> FileDescriptor {
        FileDescriptor(owning: try once { cfile_detached_tree(path, recursive ? 1 : 0, readOnly ? 1 : 0) })
    }

    /// An overlay that is in no mount table, by the options of overlayfs: "lowerdir=/a:/b".
    public static func overlay(_ options: [String]) throws(Errno) -> FileDescriptor {
        let mount = cfile_overlay_begin()
        if mount < 0 { throw Errno.current }
        let context = FileDescriptor(owning: mount)
        // An option has 256 bytes at most: long paths are named by descriptors.
        var held: [SharedDescriptor] = []
        for option in options {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            guard let key = parts.first else { continue }
            var value = parts.count > 1 ? parts[1] : nil
            if ["lowerdir", "upperdir", "workdir"].contains(key), let paths = value {
                var short: [String] = []
                for path in EscapedText.split(paths, at: ":").map(EscapedText.plain) {
                    // "::" begins layers of data only.
                    guard !path.isEmpty else {
                        short.append("")
                        continue
                    }
                    let directory = SharedDescriptor(try FileDescriptor.reference(path))
                    held.append(directory)
                    short.append("/proc/self/fd/\(directory.raw)")
                }
                value = short.joined(separator: ":")
            }
            _ = try once { cfile_overlay_option(context.raw, key, value) }
        }
        return FileDescriptor(owning: try once { cfile_overlay_end(context.raw) })
    }

    /// Has the ids of a detached tree's files seen in another way; lines as /proc/PID/uid_map has them.
    public static func mapIDs(
        of mount: borrowing FileDescriptor, uids: String, gids: String, recursive: Bool
    ) throws(Errno) {
        _ = try once { cfile_map_ids(mount.raw, uids, gids, recursive ? 1 : 0) }
    }
}

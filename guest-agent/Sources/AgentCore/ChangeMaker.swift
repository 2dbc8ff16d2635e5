import AgentProtocol
import CLinux
import LinuxSys

/// Makes a change of the host's once more, so that this kernel tells those who watch the file. The file system device
/// knows of it and changes nothing; a change that it does not know of it refuses.
///
/// The names are those of files that a container can replace at any time: no symlink is followed.
enum ChangeMaker {
    private static let noSymlinks: UInt64 = 0x04
    private static let beneath: UInt64 = 0x08
    private static let keepSize: CInt = 1

    /// - Parameter share: where the share is mounted.
    static func make(_ change: FileChanged, in share: String) {
        // What can't be done is not worth a word: the next change may have overtaken this one.
        do throws(Errno) {
            let tree = try FileDescriptor.open(share, O_RDONLY | O_DIRECTORY)
            let directory = try open(change.directory, of: change.tree, in: tree)
            if change.name.isEmpty {
                try attend(to: directory, change)
            } else {
                let newDirectory =
                    try change.kind == .moved ? open(change.newDirectory, of: change.tree, in: tree) : nil
                try make(change, directory, newDirectory)
            }
        } catch {}
    }

    /// As the system calls take it.
    private static func text(_ bytes: [UInt8]) -> [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }

    private static func open(_ path: [UInt8], of tree: String, in share: borrowing FileDescriptor) throws(Errno)
        -> SharedDescriptor
    {
        let inside = Array(tree.utf8) + (path.isEmpty ? [] : [UInt8(ascii: "/")] + path) + Array("/.".utf8)
        // A tree that is a single file has no inside.
        do throws(Errno) { return try open(inside, share) } catch .notDirectory {
            return try open(Array(tree.utf8), share)
        }
    }

    private static func open(_ path: [UInt8], _ share: borrowing FileDescriptor) throws(Errno) -> SharedDescriptor {
        let parent = share.raw
        let flags = UInt64(CLINUX_O_PATH) | UInt64(O_CLOEXEC)
        let fd = try once { clinux_openat2(parent, text(path), flags, 0, noSymlinks | beneath) }
        return SharedDescriptor(FileDescriptor(owning: fd))
    }

    private static func make(
        _ change: FileChanged, _ directory: SharedDescriptor, _ newDirectory: SharedDescriptor?
    ) throws(Errno) {
        let at = directory.descriptor.raw
        let isDirectory = change.fileKind == UInt32(S_IFDIR)
        let name = text(change.name)
        switch change.kind {
        case .created:
            let mode = mode_t(truncatingIfNeeded: change.fileKind) | 0o600
            _ = try once {
                switch change.fileKind {
                case UInt32(S_IFDIR): mkdirat(at, name, 0o700)
                case UInt32(S_IFLNK): symlinkat("-", at, name)
                default: mknodat(at, name, mode, 0)
                }
            }
        case .deleted: _ = try once { unlinkat(at, name, isDirectory ? AT_REMOVEDIR : 0) }
        case .moved:
            guard let newDirectory else { return }
            let to = newDirectory.descriptor.raw
            _ = try once { renameat(at, name, to, text(change.newName)) }
        case .modified, .attributes:
            let flags = CInt(CLINUX_O_PATH) | O_NOFOLLOW | O_CLOEXEC
            let fd = try once { clinux_openat(at, name, flags, 0) }
            try attend(to: SharedDescriptor(FileDescriptor(owning: fd)), change)
        }
        withExtendedLifetime(directory) {}
        withExtendedLifetime(newDirectory) {}
    }

    /// Writes nothing to a file, or gives it the mode that it has.
    private static func attend(to file: SharedDescriptor, _ change: FileChanged) throws(Errno) {
        var status = stat()
        let fd = file.descriptor.raw
        _ = try once { fstat(fd, &status) }
        let kind = status.st_mode & mode_t(S_IFMT)
        let path = "/proc/self/fd/\(fd)"
        if change.kind == .modified, kind == mode_t(S_IFREG) {
            let opened = try FileDescriptor.open(path, O_WRONLY)
            let writable = opened.raw
            _ = try once { clinux_allocate(writable, keepSize, 0, 1) }
        } else if change.kind == .attributes, kind != mode_t(S_IFLNK) {
            _ = try once { chmod(path, status.st_mode & 0o7777) }
        }
        withExtendedLifetime(file) {}
    }
}

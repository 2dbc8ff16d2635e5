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
                try attend(to: directory, ".", change)
            } else {
                let newDirectory = try change.kind == .moved ? open(change.newDirectory, of: change.tree, in: tree) : nil
                try make(change, directory, newDirectory)
            }
        } catch {}
    }

    private static func open(_ path: [UInt8], of tree: String, in share: borrowing FileDescriptor) throws(Errno)
        -> SharedDescriptor
    {
        let path = Array(tree.utf8) + (path.isEmpty ? [] : [UInt8(ascii: "/")] + path) + Array("/.".utf8) + [0]
        // A tree that is a single file has no inside.
        do throws(Errno) { return try open(path, share) } catch .notDirectory {
            return try open(Array(tree.utf8) + [0], share)
        }
    }

    private static func open(_ path: [UInt8], _ share: borrowing FileDescriptor) throws(Errno) -> SharedDescriptor {
        let parent = share.raw
        return SharedDescriptor(
            FileDescriptor(
                owning: try once {
                    withText(path) {
                        clinux_openat2(
                            parent, $0, UInt64(CLINUX_O_PATH) | UInt64(O_CLOEXEC), 0, noSymlinks | beneath)
                    }
                }))
    }

    private static func make(
        _ change: FileChanged, _ directory: SharedDescriptor, _ newDirectory: SharedDescriptor?
    ) throws(Errno) {
        let at = directory.descriptor.raw
        let isDirectory = change.fileKind == UInt32(S_IFDIR)
        let name = change.name + [0]
        switch change.kind {
        case .created:
            let mode = mode_t(truncatingIfNeeded: change.fileKind) | 0o600
            _ = try once {
                withText(name) {
                    switch change.fileKind {
                    case UInt32(S_IFDIR): mkdirat(at, $0, 0o700)
                    case UInt32(S_IFLNK): symlinkat("-", at, $0)
                    default: mknodat(at, $0, mode, 0)
                    }
                }
            }
        case .deleted: _ = try once { withText(name) { unlinkat(at, $0, isDirectory ? AT_REMOVEDIR : 0) } }
        case .moved:
            guard let newDirectory else { return }
            let newName = change.newName + [0]
            let to = newDirectory.descriptor.raw
            _ = try once { withText(name) { old in withText(newName) { renameat(at, old, to, $0) } } }
        case .modified, .attributes:
            let file = SharedDescriptor(
                FileDescriptor(
                    owning: try once {
                        withText(name) { clinux_openat(at, $0, CInt(CLINUX_O_PATH) | O_NOFOLLOW | O_CLOEXEC, 0) }
                    }))
            try attend(to: file, nil, change)
        }
        withExtendedLifetime(directory) {}
        withExtendedLifetime(newDirectory) {}
    }

    /// Writes nothing to a file, or gives it the mode that it has.
    private static func attend(to file: SharedDescriptor, _ unused: String?, _ change: FileChanged) throws(Errno) {
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

    private static func withText<Result>(_ text: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
        text.withUnsafeBufferPointer { bytes in
            bytes.withMemoryRebound(to: CChar.self) { body($0.baseAddress.unsafelyUnwrapped) }
        }
    }
}

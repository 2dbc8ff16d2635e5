import CLinux

/// Whole files.
public enum File {
    /// - Throws: `messageTooLong` when there is more than `limit` bytes.
    public static func read(_ path: String, limit: Int) throws(Errno) -> [UInt8] {
        try FileDescriptor.open(path, O_RDONLY).readAll(limit: limit)
    }

    /// At most `count` bytes of the beginning.
    public static func readStart(_ path: String, count: Int) throws(Errno) -> [UInt8] {
        let file = try FileDescriptor.open(path, O_RDONLY)
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = try file.read(upTo: count - bytes.count)
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    public static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 && !isDirectory(path) }

    public static func isDirectory(_ path: String) -> Bool {
        mode(path).map { $0 & mode_t(S_IFMT) == mode_t(S_IFDIR) } ?? false
    }

    /// st_mode, symlinks followed; nil when there is nothing.
    public static func isSocket(_ path: String) -> Bool {
        mode(path).map { $0 & mode_t(S_IFMT) == mode_t(S_IFSOCK) } ?? false
    }

    /// Permissions and owner of what is at a path; nil: nothing that can be looked at.
    public static func status(_ path: String) -> (mode: mode_t, uid: UInt32, gid: UInt32)? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return (status.st_mode, status.st_uid, status.st_gid)
    }

    public static func mode(_ path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode : nil
    }

    /// Writes `bytes` to `name` in `directory` so that a reader, or a crash at any moment, sees either the old file or
    /// the new one: temporary file, fsync, rename, fsync of the directory.
    public static func writeAtomically(
        _ bytes: [UInt8], to name: String, in directory: borrowing FileDescriptor, mode: mode_t = 0o600
    ) throws(Errno) {
        let temporary = ".\(name).\(getpid()).tmp"
        do throws(Errno) {
            let file = try directory.open(at: temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
            try file.writeAll(bytes)
            _ = try retrying { fsync(file.raw) }
            _ = try once { renameat(directory.raw, temporary, directory.raw, name) }
        } catch {
            unlinkat(directory.raw, temporary, 0)
            throw error
        }
        // O_PATH descriptors can't be synced.
        let readable = try directory.open(at: ".", O_RDONLY | O_DIRECTORY)
        _ = try retrying { fsync(readable.raw) }
    }

    /// mkdir -p; what it makes has `mode`.
    public static func makeDirectories(_ path: String, mode: mode_t) throws(Errno) {
        var at = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            at += "/" + part
            do throws(Errno) { _ = try once { mkdir(at, mode) } } catch .fileExists {} catch { throw error }
        }
        guard isDirectory(path) else { throw .notDirectory }
    }

    /// The absolute path with every symlink resolved.
    public static func realPath(_ path: String) throws(Errno) -> String {
        guard let resolved = realpath(path, nil) else { throw Errno.current }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    public static func currentDirectory() throws(Errno) -> String {
        guard let path = getcwd(nil, 0) else { throw Errno.current }
        defer { free(path) }
        return String(cString: path)
    }

    /// The names in a directory, without "." and "..", unsorted.
    public static func list(_ path: String) throws(Errno) -> [String] {
        guard let stream = opendir(path) else { throw Errno.current }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Where a symlink points.
    public static func readLink(_ path: String) throws(Errno) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try once { readlink(path, &buffer, buffer.count) }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}

/// An advisory lock (flock) on an open file; released when the owner goes.
public struct FileLock: ~Copyable {
    private let file: FileDescriptor

    /// Waits for the exclusive lock on `name` in `directory`, which is made when missing.
    public init(_ name: String, in directory: borrowing FileDescriptor) throws(Errno) {
        let opened = try directory.open(at: name, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        _ = try retrying { flock(opened.raw, LOCK_EX) }
        file = opened
    }
}

import Glibc
import LinuxSys

/// A folder of its own, which goes with its owner and with all that is in it.
final class ScratchFolder {
    let path: String

    init() throws {
        // In memory: thousands of them come and go.
        path = "/dev/shm/kvm-runtime-fuzz-\(UInt64.random(in: 0 ... .max))"
        try File.makeDirectories(path, mode: 0o700)
    }

    func open() throws(Errno) -> FileDescriptor { try .directory(path) }

    deinit {
        if let directory = try? FileDescriptor.open(path, O_RDONLY | O_DIRECTORY) { Self.clear(directory) }
        rmdir(path)
    }

    /// Names are taken as they are: what a guest makes need not be text.
    private static func clear(_ directory: consuming FileDescriptor) {
        let number = directory.release()
        guard let stream = fdopendir(number) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    if strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || unlinkat(number, name, 0) == 0 { return }
                    let inner = openat(number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                    if inner >= 0 { clear(FileDescriptor(owning: inner)) }
                    unlinkat(number, name, AT_REMOVEDIR)
                }
            }
        }
    }
}

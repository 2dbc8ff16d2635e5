import Glibc
import LinuxSys

/// What a guest can make the device spend.
public struct FileSystemLimits: Sendable, Equatable {
    /// Inodes that the guest may know at a time. Each costs some 300 bytes here, and more in the guest.
    public var inodes: Int
    /// Files and directories that the guest may have open.
    public var openFiles: Int
    /// O_PATH descriptors kept at hand; more are found again when they are needed.
    public var descriptors: Int
    /// Owners of locks on files.
    public var lockOwners: Int

    public init(inodes: Int, openFiles: Int, descriptors: Int, lockOwners: Int) {
        self.inodes = inodes
        self.openFiles = openFiles
        self.descriptors = descriptors
        self.lockOwners = lockOwners
    }

    /// - Parameters:
    ///   - descriptors: that the process may have for this device (RLIMIT_NOFILE, less what others need).
    ///   - guestMemoryMiB: the guest's kernel needs about a KiB for each inode that it knows, so that an honest one
    ///     can't know more of them.
    public init(descriptors: Int, guestMemoryMiB: Int) {
        inodes = min(max(guestMemoryMiB, 64), 65536) * 1024
        openFiles = max(descriptors / 2, 16)
        self.descriptors = min(max(descriptors / 4, 16), 4096)
        lockOwners = max(descriptors / 8, 16)
    }
}

/// How long a guest believes what it was told of a tree.
public enum CachePolicy: String, Sendable, CaseIterable {
    /// Changes of the host are seen within a second, those to contents at the next open(2).
    case auto
    /// The guest is the only one that changes the tree.
    case always
    /// Everything is asked again.
    case never

    var entrySeconds: UInt64 {
        switch self {
        case .auto: 1
        case .always: 86400
        case .never: 0
        }
    }
}

extension Errno {
    static let stale = Errno(rawValue: ESTALE)
    static let readOnlyFileSystem = Errno(rawValue: EROFS)
    static let notImplemented = Errno(rawValue: ENOSYS)
    static let tooManyFiles = Errno(rawValue: ENFILE)
    /// Of a tree and what the guest does with all of them.
    static let incompatible = Errno(rawValue: EMEDIUMTYPE)
    static let deadlock = Errno(rawValue: EDEADLK)
    static let noLocks = Errno(rawValue: ENOLCK)
    static let noDeviceOrAddress = Errno(rawValue: ENXIO)
    static let outOfRange = Errno(rawValue: ERANGE)
    static let tooBig = Errno(rawValue: E2BIG)
}

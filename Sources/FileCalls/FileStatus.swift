import CFileCalls
import CLinux
import LinuxSys

/// A time of a file.
public struct FileTime: Hashable, Sendable {
    public var seconds: Int64
    public var nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// For `FileCalls.setTimes`: the present, and what is not to be changed.
    public static let now = FileTime(seconds: 0, nanoseconds: (1 << 30) - 1)
    public static let omitted = FileTime(seconds: 0, nanoseconds: (1 << 30) - 2)

    init(_ time: cfile_time) { self.init(seconds: time.seconds, nanoseconds: time.nanoseconds) }

    var c: cfile_time { cfile_time(seconds: seconds, nanoseconds: nanoseconds) }
}

/// What kind of file it is: S_IFMT of its mode.
public enum FileKind: UInt32, Sendable {
    case fifo = 0o010000
    case characterDevice = 0o020000
    case directory = 0o040000
    case blockDevice = 0o060000
    case regular = 0o100000
    case symlink = 0o120000
    case socket = 0o140000

    static let mask: UInt32 = 0o170000

    public init?(mode: UInt32) { self.init(rawValue: mode & Self.mask) }
}

/// What statx(2) says of a file.
public struct FileStatus: Sendable {
    let c: cfile_status

    public var inode: UInt64 { c.inode }
    /// Bytes.
    public var size: UInt64 { c.size }
    /// Of 512 bytes.
    public var blocks: UInt64 { c.blocks }
    /// st_dev, and the id of the mount (0 where the kernel does not tell).
    public var device: UInt64 { c.device }
    public var mount: UInt64 { c.mount }
    public var mode: UInt32 { c.mode }
    public var links: UInt32 { c.links }
    public var uid: UInt32 { c.uid }
    public var gid: UInt32 { c.gid }
    public var blockSize: UInt32 { c.block_size }
    public var deviceNumber: (major: UInt32, minor: UInt32) { (c.device_major, c.device_minor) }
    /// Of a device node: the device that it stands for.
    public var specialNumber: (major: UInt32, minor: UInt32) { (c.special_major, c.special_minor) }
    public var accessed: FileTime { FileTime(c.accessed) }
    public var modified: FileTime { FileTime(c.modified) }
    public var changed: FileTime { FileTime(c.changed) }
    public var born: FileTime { FileTime(c.born) }
    public var kind: FileKind? { FileKind(mode: c.mode) }
}

/// What fstatfs(2) says of the file system that a file is on.
public struct FileSystemStatus: Sendable {
    let c: cfile_system_status

    public var blocks: UInt64 { c.blocks }
    public var freeBlocks: UInt64 { c.free_blocks }
    public var availableBlocks: UInt64 { c.available_blocks }
    public var files: UInt64 { c.files }
    public var freeFiles: UInt64 { c.free_files }
    public var blockSize: UInt32 { c.block_size }
    public var fragmentSize: UInt32 { c.fragment_size }
    public var nameLength: UInt32 { c.name_length }
}

/// What finds an inode again as long as it lives, without a name (name_to_handle_at(2)). Only where its file system
/// offers that.
public struct FileHandle: Hashable, Sendable {
    let type: CInt
    let bytes: [UInt8]
}

/// A lock on a range of a file.
public struct RangeLock: Equatable, Sendable {
    public enum Kind: Sendable {
        case read, write, none

        var number: CInt {
            switch self {
            case .read: F_RDLCK
            case .write: F_WRLCK
            case .none: F_UNLCK
            }
        }
    }

    public var start: Int64
    /// Bytes; 0 is to the end of the file.
    public var length: Int64
    public var kind: Kind

    public init(start: Int64, length: Int64, kind: Kind) {
        self.start = start
        self.length = length
        self.kind = kind
    }
}

/// Requests of FUSE (linux/fuse.h, protocol 7.38). virtio 1.2 §5.11 carries them in virtqueues.
enum Opcode: UInt32 {
    case lookup = 1
    case forget = 2
    case getAttributes = 3
    case setAttributes = 4
    case readLink = 5
    case symlink = 6
    case makeNode = 8
    case makeDirectory = 9
    case unlink = 10
    case removeDirectory = 11
    case rename = 12
    case link = 13
    case open = 14
    case read = 15
    case write = 16
    case systemStatus = 17
    case release = 18
    case synchronize = 20
    case setXAttribute = 21
    case getXAttribute = 22
    case listXAttributes = 23
    case removeXAttribute = 24
    case flush = 25
    case initialize = 26
    case openDirectory = 27
    case readDirectory = 28
    case releaseDirectory = 29
    case synchronizeDirectory = 30
    case getLock = 31
    case setLock = 32
    case setLockWaiting = 33
    case access = 34
    case create = 35
    case interrupt = 36
    case destroy = 38
    case batchForget = 42
    case allocate = 43
    case readDirectoryPlus = 44
    case rename2 = 45
    case seek = 46
    case copyRange = 47
    case synchronizeFileSystem = 50
    case temporaryFile = 51
    case extendedStatus = 52

    /// It leaves what other requests can see (but the time of an access) as it is.
    var onlyLooks: Bool {
        switch self {
        case .lookup, .forget, .batchForget, .getAttributes, .extendedStatus, .readLink, .read, .systemStatus, .release,
            .getXAttribute, .listXAttributes, .flush, .openDirectory, .readDirectory, .readDirectoryPlus,
            .releaseDirectory, .getLock, .setLock, .setLockWaiting, .access, .interrupt, .seek:
            true
        default: false
        }
    }
}

/// What both sides can do (`FUSE_…` of INIT; flags2 is the upper half).
struct InitFlags: OptionSet {
    let rawValue: UInt64

    static let asyncRead = InitFlags(rawValue: 1 << 0)
    static let posixLocks = InitFlags(rawValue: 1 << 1)
    static let atomicTruncate = InitFlags(rawValue: 1 << 3)
    static let exportSupport = InitFlags(rawValue: 1 << 4)
    static let bigWrites = InitFlags(rawValue: 1 << 5)
    /// The umask comes with the request: a default ACL of the directory goes before it.
    static let ownUmask = InitFlags(rawValue: 1 << 6)
    static let flockLocks = InitFlags(rawValue: 1 << 10)
    /// The guest drops its cache of a file whose time or size has changed.
    static let autoInvalidate = InitFlags(rawValue: 1 << 12)
    static let readDirectoryPlus = InitFlags(rawValue: 1 << 13)
    static let readDirectoryPlusAuto = InitFlags(rawValue: 1 << 14)
    static let asyncDirect = InitFlags(rawValue: 1 << 15)
    static let writebackCache = InitFlags(rawValue: 1 << 16)
    static let parallelDirectories = InitFlags(rawValue: 1 << 18)
    static let posixACL = InitFlags(rawValue: 1 << 20)
    static let maxPages = InitFlags(rawValue: 1 << 22)
    static let cacheSymlinks = InitFlags(rawValue: 1 << 23)
    static let submounts = InitFlags(rawValue: 1 << 27)
    /// The device clears set-user-ID and set-group-ID bits when it is told to.
    static let killPrivileges2 = InitFlags(rawValue: 1 << 28)
    static let extendedSetXAttribute = InitFlags(rawValue: 1 << 29)
    static let extended = InitFlags(rawValue: 1 << 30)
    /// ID-mapped mounts of the guest: requests carry the mapped owner.
    static let idMappedMounts = InitFlags(rawValue: 1 << 40)
}

/// The 40 bytes in front of each request.
struct RequestHeader {
    static let byteCount = 40

    var length: UInt32
    var opcode: UInt32
    /// Names the request, for INTERRUPT.
    var unique: UInt64
    var node: UInt64
    var uid: UInt32
    var gid: UInt32
    var pid: UInt32
}

/// The 16 bytes in front of each answer: length, error, unique.
enum ReplyHeader {
    static let byteCount = 16
}

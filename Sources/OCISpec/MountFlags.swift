/// The flags of mount(2), with the kernel's values.
public struct MountFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt

    public init(rawValue: UInt) {
        self.rawValue = rawValue
    }

    public static let readOnly = MountFlags(rawValue: 1)
    public static let noSuid = MountFlags(rawValue: 1 << 1)
    public static let noDev = MountFlags(rawValue: 1 << 2)
    public static let noExec = MountFlags(rawValue: 1 << 3)
    public static let synchronous = MountFlags(rawValue: 1 << 4)
    public static let remount = MountFlags(rawValue: 1 << 5)
    public static let mandatoryLocks = MountFlags(rawValue: 1 << 6)
    public static let dirSync = MountFlags(rawValue: 1 << 7)
    public static let noSymFollow = MountFlags(rawValue: 1 << 8)
    public static let noAtime = MountFlags(rawValue: 1 << 10)
    public static let noDirAtime = MountFlags(rawValue: 1 << 11)
    public static let bind = MountFlags(rawValue: 1 << 12)
    public static let move = MountFlags(rawValue: 1 << 13)
    public static let recursive = MountFlags(rawValue: 1 << 14)
    public static let silent = MountFlags(rawValue: 1 << 15)
    public static let unbindable = MountFlags(rawValue: 1 << 17)
    public static let `private` = MountFlags(rawValue: 1 << 18)
    public static let slave = MountFlags(rawValue: 1 << 19)
    public static let shared = MountFlags(rawValue: 1 << 20)
    public static let relAtime = MountFlags(rawValue: 1 << 21)
    public static let iVersion = MountFlags(rawValue: 1 << 23)
    public static let strictAtime = MountFlags(rawValue: 1 << 24)
    public static let lazyTime = MountFlags(rawValue: 1 << 25)

    /// The flag of a propagation, such as "rslave"; nil if it is none. Also the words of `linux.rootfsPropagation`.
    public static func propagation(named name: String) -> MountFlags? {
        guard case .propagation(let flags)? = MountWord.named(name) else { return nil }
        return flags
    }
}

/// The attributes of mount_setattr(2), with the kernel's values.
public struct MountAttributes: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    public static let readOnly = MountAttributes(rawValue: 0x1)
    public static let noSuid = MountAttributes(rawValue: 0x2)
    public static let noDev = MountAttributes(rawValue: 0x4)
    public static let noExec = MountAttributes(rawValue: 0x8)
    public static let noAtime = MountAttributes(rawValue: 0x10)
    public static let strictAtime = MountAttributes(rawValue: 0x20)
    /// The field that the times of access share. relatime is its zero.
    public static let atime = MountAttributes(rawValue: 0x70)
    public static let noDirAtime = MountAttributes(rawValue: 0x80)
    public static let noSymFollow = MountAttributes(rawValue: 0x20_0000)
}

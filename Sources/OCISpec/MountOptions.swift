/// Mount options as mount(2) and mount_setattr(2) want them. The words are runc's (`parseMountOptions`).
public struct MountOptions: Equatable, Sendable {
    /// What runtimes do besides mounting.
    public struct Extensions: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// Copy what the mount hides into it; for tmpfs.
        public static let copyUp = Extensions(rawValue: 1)
        /// Map ids by `uidMappings` and `gidMappings`.
        public static let idMap = Extensions(rawValue: 2)
        /// The same for the mounts below.
        public static let recursiveIDMap = Extensions(rawValue: 4)
    }

    /// The flags that the options set.
    public var setFlags: MountFlags = []
    /// Those that they clear by name ("rw", "exec"), which matters when the kernel would keep some of the source.
    public var clearFlags: MountFlags = []
    /// Each is a call of mount(2) of its own, after the mount.
    public var propagation: [MountFlags] = []
    /// Attributes to set on the mount and all below it.
    public var recursiveSet: MountAttributes = []
    public var recursiveClear: MountAttributes = []
    /// Everything that is no word of ours, for the file system: "mode=755,size=65536k".
    public var data = ""
    public var extensions: Extensions = []

    public init() {}

    /// Parses options in order: the later word wins.
    public init(parsing options: [String]) {
        var data: [String] = []
        for option in options {
            switch MountWord.named(option) {
            case .set(let flags)?:
                setFlags.insert(flags)
                clearFlags.subtract(flags)
            case .clear(let flags)?:
                setFlags.subtract(flags)
                clearFlags.insert(flags)
            case .propagation(let flags)?: propagation.append(flags)
            case .setAll(let attributes)?:
                recursiveSet.insert(attributes)
                recursiveClear.subtract(attributes)
                clearAtimeField(for: attributes)
            case .clearAll(let attributes)?:
                recursiveClear.insert(attributes)
                recursiveSet.subtract(attributes)
                clearAtimeField(for: attributes)
            case .extension(let extra)?: extensions.insert(extra)
            case .nothing?: break
            case nil: data.append(option)
            }
        }
        self.data = data.joined(separator: ",")
    }

    /// mount_setattr(2): who changes the time of access must clear the whole field. (relatime is 0, hence the test.)
    private mutating func clearAtimeField(for attributes: MountAttributes) {
        if MountAttributes.atime.contains(attributes) {
            recursiveClear.insert(.atime)
        }
    }
}

/// What an option does.
enum MountWord: Equatable, Sendable {
    case set(MountFlags)
    case clear(MountFlags)
    case propagation(MountFlags)
    case setAll(MountAttributes)
    case clearAll(MountAttributes)
    case `extension`(MountOptions.Extensions)
    case nothing

    /// What a word does; nil if it is for the file system.
    static func named(_ name: String) -> MountWord? { table[name] }

    /// Every word there is, sorted.
    static var names: [String] { table.keys.sorted() }

    private static let table: [String: MountWord] = [
        "async": .clear(.synchronous), "atime": .clear(.noAtime), "bind": .set(.bind),
        // runc hands this to the file system, and tmpfs then refuses it. To fstab and to crun it means nothing.
        "defaults": .nothing,
        "dev": .clear(.noDev), "diratime": .clear(.noDirAtime), "dirsync": .set(.dirSync), "exec": .clear(.noExec),
        "iversion": .set(.iVersion), "lazytime": .set(.lazyTime), "loud": .clear(.silent),
        "mand": .set(.mandatoryLocks), "noatime": .set(.noAtime), "nodev": .set(.noDev),
        "nodiratime": .set(.noDirAtime), "noexec": .set(.noExec), "noiversion": .clear(.iVersion),
        "nolazytime": .clear(.lazyTime), "nomand": .clear(.mandatoryLocks), "norelatime": .clear(.relAtime),
        "nostrictatime": .clear(.strictAtime), "nosuid": .set(.noSuid), "nosymfollow": .set(.noSymFollow),
        "rbind": .set([.bind, .recursive]), "relatime": .set(.relAtime), "remount": .set(.remount),
        "ro": .set(.readOnly), "rw": .clear(.readOnly), "silent": .set(.silent), "strictatime": .set(.strictAtime),
        "suid": .clear(.noSuid), "symfollow": .clear(.noSymFollow), "sync": .set(.synchronous),

        "private": .propagation(.private), "rprivate": .propagation([.private, .recursive]),
        "shared": .propagation(.shared), "rshared": .propagation([.shared, .recursive]),
        "slave": .propagation(.slave), "rslave": .propagation([.slave, .recursive]),
        "unbindable": .propagation(.unbindable), "runbindable": .propagation([.unbindable, .recursive]),

        "rro": .setAll(.readOnly), "rrw": .clearAll(.readOnly), "rnosuid": .setAll(.noSuid),
        "rsuid": .clearAll(.noSuid), "rnodev": .setAll(.noDev), "rdev": .clearAll(.noDev),
        "rnoexec": .setAll(.noExec), "rexec": .clearAll(.noExec), "rnodiratime": .setAll(.noDirAtime),
        "rdiratime": .clearAll(.noDirAtime), "rrelatime": .setAll([]), "rnorelatime": .clearAll([]),
        "rnoatime": .setAll(.noAtime), "ratime": .clearAll(.noAtime), "rstrictatime": .setAll(.strictAtime),
        "rnostrictatime": .clearAll(.strictAtime), "rnosymfollow": .setAll(.noSymFollow),
        "rsymfollow": .clearAll(.noSymFollow),

        "tmpcopyup": .extension(.copyUp), "idmap": .extension(.idMap),
        "ridmap": .extension([.idMap, .recursiveIDMap]),
    ]
}

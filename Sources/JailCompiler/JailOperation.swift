import OCISpec

/// One step of the making of a container's file system, as the child of `CJail` carries it out.
public struct JailOperation: Equatable, Sendable {
    public enum Action: Equatable, Sendable {
        case mount(FileSystem)
        /// `source` is a path below the share.
        case bind(source: String, recursive: Bool)
        /// A socket of the agent's, by its name.
        case socket(name: String)
        case remount(flags: MountFlags, data: String)
        /// Changes the attributes of what is mounted.
        case attributes
        case propagation(MountFlags)
        case device(Node, Presence)
        /// Nodes of all devices that the guest has, where there are none of the name.
        case guestDevices
        case symlink(to: String, replacing: Bool)
        /// A tmpfs that begins with what its directory holds.
        case copyUp(FileSystem)
        case mask
        case readOnly
        /// The target is a path below /proc/sys.
        case sysctl(value: String)
        case loopback
        case hostname(String)
        case domainname(String)
    }

    /// A new mount(2).
    public struct FileSystem: Equatable, Sendable {
        public var type: String
        public var source: String
        public var flags: MountFlags
        public var data: String

        public init(type: String, source: String, flags: MountFlags = [], data: String = "") {
            self.type = type
            self.source = source
            self.flags = flags
            self.data = data
        }
    }

    /// What becomes of a node where something is in the way.
    public enum Presence: Equatable, Sendable {
        /// What has the name already is left as it is.
        case unlessNamed
        /// The same, and there is no node without such a device in the guest.
        case ofTheGuest
        /// What has the name has to be that device.
        case exactly
        /// It is mounted on what has the name.
        case mounted
    }

    /// A device node.
    public struct Node: Equatable, Sendable {
        /// Type and permissions, as st_mode has them.
        public var mode: UInt32
        public var major: UInt32
        public var minor: UInt32
        public var uid: UInt32 = 0
        public var gid: UInt32 = 0

        public init(mode: UInt32, major: UInt32, minor: UInt32, uid: UInt32 = 0, gid: UInt32 = 0) {
            self.mode = mode
            self.major = major
            self.minor = minor
            self.uid = uid
            self.gid = gid
        }

        /// As dev_t has it.
        var device: UInt64 {
            let major = UInt64(major)
            let minor = UInt64(minor)
            return (major & 0xfff) << 8 | (major & ~0xfff) << 32 | minor & 0xff | (minor & ~0xff) << 12
        }
    }

    /// What mount_setattr(2) sets and clears.
    public struct Attributes: Equatable, Sendable {
        public var set: MountAttributes = []
        public var clear: MountAttributes = []
        /// The same for the mount and all below it.
        public var recursiveSet: MountAttributes = []
        public var recursiveClear: MountAttributes = []

        public init() {}
    }

    public var action: Action
    /// A path in the container.
    public var target = ""
    public var attributes = Attributes()
    /// What the person who wrote config.json knows the step by: `mounts[3] to "/data"`.
    public var subject: String

    public init(_ action: Action, target: String = "", attributes: Attributes = Attributes(), subject: String) {
        self.action = action
        self.target = target
        self.attributes = attributes
        self.subject = subject
    }
}

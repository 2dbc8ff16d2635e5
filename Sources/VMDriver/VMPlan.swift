import LinuxSys

/// What the runtime wants of a virtual machine, in terms that every driver understands.
public struct VMPlan: Sendable {
    /// One tree, or one file, of the host that the guest gets below the share's root.
    public struct SharedTree: Equatable, Sendable {
        /// An absolute path on the host.
        public var source: String
        /// In the share's root.
        public var name: String
        public var readOnly: Bool
        /// Takes along what is mounted below the source.
        public var recursive: Bool
        public var cache: FileCache
        /// Not empty: the tree is an overlay of directories of the host, by its options; there is no source.
        public var overlay: [String] = []
        /// nil: the files' ids are seen as they are.
        public var idMap: IDMap?
        /// Not nil: this very file or directory, which was found at the source; not one that has taken its place.
        public var identity: FileIdentity?

        /// For a person who has to find out what is wrong with it.
        public var words: String { overlay.isEmpty ? source : "the overlay of \(overlay.joined(separator: ","))" }

        public init(source: String, name: String, readOnly: Bool, recursive: Bool, cache: FileCache = .auto) {
            self.source = source
            self.name = name
            self.readOnly = readOnly
            self.recursive = recursive
            self.cache = cache
        }
    }

    /// How ids are seen, as /proc/PID/uid_map has it: a line a range.
    public struct IDMap: Equatable, Sendable {
        public var uids: String
        public var gids: String
        /// For what is mounted below too.
        public var recursive: Bool

        public init(uids: String, gids: String, recursive: Bool) {
            self.uids = uids
            self.gids = gids
            self.recursive = recursive
        }
    }

    /// An image on the host that the guest has as a disk.
    public struct Disk: Equatable, Sendable {
        /// An absolute path on the host: a raw image, or a block device.
        public var source: String
        public var readOnly: Bool
        /// What the guest finds the disk by (its serial number): 1 to 20 characters of ASCII.
        public var name: String

        public init(source: String, readOnly: Bool, name: String) {
            self.source = source
            self.readOnly = readOnly
            self.name = name
        }
    }

    /// How long the guest believes what it was told of files.
    public enum FileCache: String, CaseIterable, Sendable {
        /// Changes of the host are seen within a second, those to contents at the next open(2).
        case auto
        /// Nobody but the guest changes the files.
        case always
        /// Everything is asked again.
        case never
    }

    /// What runs the guest's instructions.
    public enum Accelerator: Equatable, Sendable {
        case kvm
        /// Software emulation, and why.
        case emulation
    }

    public var name: String
    public var accelerator: Accelerator
    public var vcpus: Int
    public var memoryMiB: Int
    /// An uncompressed Linux kernel (ELF with a PVH note).
    public var kernel: String
    public var initramfs: String
    /// Kernel parameters of the administrator, behind those that the driver needs itself.
    public var kernelParameters: [String]
    /// The hypervisor's own options, behind those that the driver needs.
    public var hypervisorParameters: [String] = []
    /// The host's TSC frequency in kHz, so that the guest needn't measure it.
    public var tscKilohertz: UInt32?
    public var shareTag: String
    public var trees: [SharedTree]
    /// In the order in which the guest finds them.
    public var disks: [Disk]
    /// Locks on files are taken on the host, where other guests and programs see them; else the guest keeps them.
    public var sharesFileLocks: Bool
    /// The guest may gather writes to files: every tree, of now and of later, is its alone (`FileCache.always`).
    public var gathersFileWrites = false
    /// How long a device looks for the guest's next buffer before it sleeps; 0: not at all.
    public var pollMicroseconds: Int

    public init(
        name: String, accelerator: Accelerator, vcpus: Int, memoryMiB: Int, kernel: String, initramfs: String,
        kernelParameters: [String], tscKilohertz: UInt32?, shareTag: String, trees: [SharedTree],
        disks: [Disk] = [], sharesFileLocks: Bool = false, pollMicroseconds: Int = 0
    ) {
        self.name = name
        self.accelerator = accelerator
        self.vcpus = vcpus
        self.memoryMiB = memoryMiB
        self.kernel = kernel
        self.initramfs = initramfs
        self.kernelParameters = kernelParameters
        self.tscKilohertz = tscKilohertz
        self.shareTag = shareTag
        self.trees = trees
        self.disks = disks
        self.sharesFileLocks = sharesFileLocks
        self.pollMicroseconds = pollMicroseconds
    }
}

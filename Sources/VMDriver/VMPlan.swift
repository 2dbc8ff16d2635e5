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

        public init(source: String, name: String, readOnly: Bool, recursive: Bool) {
            self.source = source
            self.name = name
            self.readOnly = readOnly
            self.recursive = recursive
        }
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
    /// The host's TSC frequency in kHz, so that the guest needn't measure it.
    public var tscKilohertz: UInt32?
    public var shareTag: String
    public var trees: [SharedTree]

    public init(
        name: String, accelerator: Accelerator, vcpus: Int, memoryMiB: Int, kernel: String, initramfs: String,
        kernelParameters: [String], tscKilohertz: UInt32?, shareTag: String, trees: [SharedTree]
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
    }
}

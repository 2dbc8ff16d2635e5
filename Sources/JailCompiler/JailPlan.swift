import OCISpec

/// Everything that the guest's child does between clone and exec: a container's configuration made concrete.
public struct JailPlan: Equatable, Sendable {
    /// CLONE_NEW… flags.
    public var namespaces: UInt64 = 0
    /// The rootfs, a path below the root of the guest's share, without a leading slash.
    public var rootfs: String
    public var rootReadOnly = false
    public var rootPropagation: MountFlags = []
    public var operations: [JailOperation] = []
    public var process: JailProcess

    public init(rootfs: String, process: JailProcess) {
        self.rootfs = rootfs
        self.process = process
    }
}

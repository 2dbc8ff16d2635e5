/// What a block device needs of another that it takes the place of. What is on the disk is on the disk: every request is
/// carried out before it is answered.
public struct BlockState: Equatable, Sendable {
    /// Writes are on the disk only after a FLUSH: what the driver has chosen (VIRTIO_BLK_F_CONFIG_WCE).
    public var isCached: Bool

    public init(isCached: Bool) { self.isCached = isCached }
}

/// What a vsock device needs of another that it takes the place of. Connections end with the process that has their
/// sockets: the guest's packets on them are answered with RST (virtio 1.2 §5.10.6.5).
public struct VsockState: Equatable, Sendable {
    /// The host's port of the next connection to the guest, so that none is used again that the guest remembers.
    public var nextPort: UInt32

    public init(nextPort: UInt32) { self.nextPort = nextPort }
}

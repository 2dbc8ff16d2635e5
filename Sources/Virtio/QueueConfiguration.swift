import GuestMemory

/// Tells the driver that there is something in a used ring. The transport implements it: an eventfd, an interrupt.
public protocol QueueInterrupt: AnyObject {
    func raise()
}

/// Where a queue stands: what a transport needs to stop it and to go on with it later.
public struct QueuePosition: Equatable, Sendable {
    /// The index of the next entry of the available ring that the device takes.
    public var nextAvailable: UInt16

    public init(nextAvailable: UInt16) { self.nextAvailable = nextAvailable }
}

/// A queue that the driver has set up, as the transport learnt it.
public struct QueueConfiguration {
    /// Entries; a power of two.
    public var size: UInt32
    /// Guest-physical addresses of the three parts (virtio 1.2 §2.7).
    public var descriptorTable: UInt64
    public var availableRing: UInt64
    public var usedRing: UInt64
    public var position: QueuePosition
    public var interrupt: any QueueInterrupt

    public init(
        size: UInt32, descriptorTable: UInt64, availableRing: UInt64, usedRing: UInt64,
        position: QueuePosition = QueuePosition(nextAvailable: 0), interrupt: any QueueInterrupt
    ) {
        self.size = size
        self.descriptorTable = descriptorTable
        self.availableRing = availableRing
        self.usedRing = usedRing
        self.position = position
        self.interrupt = interrupt
    }

    /// Bytes of each part for `size` entries, the event fields included.
    public static func descriptorTableBytes(_ size: UInt32) -> UInt64 { 16 * UInt64(size) }
    public static func availableRingBytes(_ size: UInt32) -> UInt64 { 6 + 2 * UInt64(size) }
    public static func usedRingBytes(_ size: UInt32) -> UInt64 { 6 + 8 * UInt64(size) }
}

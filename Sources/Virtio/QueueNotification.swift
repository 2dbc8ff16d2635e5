import GuestMemory

/// Who tells whom, and when not (virtio 1.2 §2.7.7 to §2.7.10).
extension Virtqueue {
    /// Shows the driver what was pushed and interrupts it if it asked for that. Once a batch.
    /// - Returns: whether it was interrupted.
    @discardableResult
    public mutating func publish() -> Bool {
        guard nextUsed != publishedUsed else { return false }
        let old = publishedUsed
        publishedUsed = nextUsed
        used.storeRelease16(2, nextUsed)
        // The driver writes its wish and then looks at the index; we write the index and then look at its wish.
        GuestView.fence()
        guard wantsInterrupt(from: old, to: nextUsed) else { return false }
        interrupt.raise()
        return true
    }

    private func wantsInterrupt(from old: UInt16, to new: UInt16) -> Bool {
        guard eventIndex else { return available.load16(0) & 1 == 0 }
        let wished = available.load16(4 &+ 2 &* Int(size))
        return Self.passes(wished, from: old, to: new)
    }

    /// Whether an index that went from `old` to `new` has passed `event` (vring_need_event).
    static func passes(_ event: UInt16, from old: UInt16, to new: UInt16) -> Bool { new &- event &- 1 < new &- old }

    /// Asks the driver not to kick: the device is looking anyway, or has no use for more buffers. With the event index
    /// an old wish stays where it is, and the driver has passed it.
    public mutating func suppressKicks() {
        guard !kicksSuppressed else { return }
        kicksSuppressed = true
        if !eventIndex { used.store16(0, 1) }
    }

    /// Asks to be kicked for the next buffer, or, where the driver can do that (VIRTIO_F_EVENT_IDX), for a later one.
    /// - Parameter waitingFor: so many buffers, less than the queue has.
    /// - Returns: true when there is one already: take it, no kick will come for it.
    public mutating func armKicks(waitingFor count: UInt16 = 1) throws(QueueError) -> Bool {
        kicksSuppressed = false
        if eventIndex {
            used.store16(4 &+ 8 &* Int(size), nextAvailable &+ min(max(count, 1), size) &- 1)
        } else {
            used.store16(0, 0)
        }
        GuestView.fence()
        return try refresh()
    }
}

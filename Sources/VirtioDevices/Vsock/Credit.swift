/// The flow control of one connection (virtio 1.2 §5.10.6.3). All counts are free-running and wrap.
struct Credit {
    /// Bytes that the guest may have on their way to us: what we advertise and what we may have to buffer.
    let window: UInt32
    /// Bytes that came from the guest.
    private var received: UInt32 = 0
    /// Bytes of them that were handed on: what the guest reads as fwd_cnt.
    private(set) var forwarded: UInt32 = 0
    /// The fwd_cnt that the guest was told last.
    private var announced: UInt32 = 0

    /// Bytes that went to the guest.
    private var sent: UInt32 = 0
    private var peerWindow: UInt32 = 0
    private var peerForwarded: UInt32 = 0

    init(window: UInt32) { self.window = window }

    /// Bytes that may be sent to the guest now. What the guest says may be nonsense; then it gets nothing.
    var available: UInt32 {
        let inFlight = sent &- peerForwarded
        return inFlight < peerWindow ? peerWindow &- inFlight : 0
    }

    mutating func told(_ header: VsockHeader) {
        peerWindow = header.bufferSize
        peerForwarded = header.forwardCount
    }

    /// Counts what was sent to the guest.
    mutating func spend(_ count: UInt32) { sent &+= count }

    /// Counts what comes from the guest; false when it is more than it was allowed.
    mutating func accept(_ count: UInt32) -> Bool {
        let held = received &- forwarded
        guard held <= window, count <= window &- held else { return false }
        received &+= count
        return true
    }

    /// Counts what was handed on.
    mutating func forward(_ count: UInt32) { forwarded &+= count }

    /// Every packet to the guest tells it our counts.
    mutating func announce(in header: inout VsockHeader) {
        header.bufferSize = window
        header.forwardCount = forwarded
        announced = forwarded
    }

    /// Enough was handed on for the guest to be told in a packet of its own. Half of what it sends at most without
    /// hearing from us: it never comes to a stop while we keep up, and one packet serves many.
    ///
    /// That is not always our window: Linux sends no more than its own buffer holds, however large the peer's is.
    var updateIsDue: Bool {
        let step = max(min(window, peerWindow) / 2, 1)
        return forwarded &- announced >= step
    }
}

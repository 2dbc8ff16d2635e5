import LinuxSys

/// The name of a connection: the host's port and the guest's.
struct ConnectionKey: Hashable {
    var host: UInt32
    var guest: UInt32
}

/// Packets without data that a connection owes the guest. Each at most once, so they can't pile up.
struct OwedPackets: OptionSet {
    let rawValue: UInt8

    static let request = OwedPackets(rawValue: 1)
    static let response = OwedPackets(rawValue: 2)
    static let creditUpdate = OwedPackets(rawValue: 4)
    static let creditRequest = OwedPackets(rawValue: 8)
    static let shutdown = OwedPackets(rawValue: 16)
}

/// One stream between a Unix socket and a socket in the guest.
final class Connection {
    enum Stage {
        /// From the host: it has not said yet where it wants to go; what it said so far.
        case greeting([UInt8])
        /// From the host: the guest's driver is not ready.
        case waiting(port: UInt32)
        /// REQUEST sent, or owed.
        case requested(deadline: UInt64)
        case established
        /// The guest has gone; what it sent still has to get to the socket.
        case draining
    }

    /// Finds the connection in the table; never used twice.
    let token: UInt64
    let socket: FileDescriptor
    /// Takes a share of the wide windows.
    let isWide: Bool
    var stage: Stage
    /// nil while it has no name that the guest knows.
    var key: ConnectionKey?
    var credit: Credit
    var owed: OwedPackets = []
    /// In the list of those that have something for the guest.
    var isListed = false

    /// From the guest, for a socket that took no more.
    var pending = PendingBytes()
    /// What epoll said last and no call has contradicted since (it tells changes only).
    var readable = false
    var writable = true
    /// epoll said that the peer has closed one direction, or both: read until the end even after a short read.
    var peerClosed = false
    var peerGone = false

    /// The socket's end was read: the host sends no more.
    var hostEnded = false
    /// The socket takes no more, for good: the host reads no more.
    var hostDeaf = false
    /// What the guest's SHUTDOWN packets said.
    var guestEnded: ShutdownFlags = []
    /// What ours said.
    var toldEnded: ShutdownFlags = []
    /// A CREDIT_REQUEST is out, and nothing new was heard.
    var creditAsked = false
    /// How many buffers to fill at once: grows while they all are filled.
    var batch = 1

    init(token: UInt64, socket: consuming FileDescriptor, window: UInt32, isWide: Bool, stage: Stage) {
        self.token = token
        self.socket = socket
        self.isWide = isWide
        self.stage = stage
        credit = Credit(window: window)
    }

    var isEstablished: Bool {
        if case .established = stage { return true }
        return false
    }

    /// There may be bytes to read that the guest wants.
    var wantsToSend: Bool {
        isEstablished && readable && !hostEnded && !guestEnded.contains(.receive)
    }

    /// What to tell the guest that the host will not do any more.
    var ended: ShutdownFlags {
        var flags: ShutdownFlags = []
        if hostEnded { flags.insert(.send) }
        if hostDeaf { flags.insert(.receive) }
        return flags
    }
}

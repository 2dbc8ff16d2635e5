import LinuxSys
import Virtio

/// The connections between Unix sockets and the guest, and what moves on them. Without queues it only keeps things
/// as they are: nothing is read from a socket before the guest has a place for it.
final class VsockSwitch {
    /// The listener's token; connections have others.
    private static let listenerToken: UInt64 = 0
    /// RST packets for which there is no connection and no buffer yet. With so many the guest's packets wait.
    static let mostStrays = 64
    /// How long a guest may take to answer a REQUEST. It is its kernel that answers, at once.
    static let requestNanoseconds: UInt64 = 10_000_000_000
    /// Packets, and reads of a socket, before others get their turn.
    private static let packetBudget = 256

    let guestCID: UInt64
    let directory: FileDescriptor
    let epoll: Epoll
    private let listener: FileDescriptor
    /// There may be connections to accept (told once) that there was no room for.
    private var listenerReady = false

    var table = ConnectionTable()
    /// Tokens of connections that have something for the guest, in the order of their turns.
    private var listed = TokenQueue()
    var strays: [VsockHeader] = []
    var counters = VsockCounters()
    /// The driver is ready: connections from the host need not wait.
    var isActive = false
    /// When the first unanswered REQUEST is too old.
    var nextDeadline: UInt64?

    init(guestCID: UInt64, directory: consuming FileDescriptor, listener: consuming FileDescriptor) throws(Errno) {
        self.guestCID = guestCID
        self.directory = directory
        self.listener = listener
        epoll = try Epoll()
        try epoll.add(self.listener.raw, [.readable, .edgeTriggered], token: Self.listenerToken)
    }

    /// Takes what epoll has to say; does not wait unless told to.
    func collectEvents(waitingMilliseconds: CInt = 0) {
        // It can only fail for reasons of ours (a bad descriptor), and then there is nothing to collect.
        try? epoll.wait(milliseconds: waitingMilliseconds) { token, events in
            if token == Self.listenerToken {
                listenerReady = true
            } else if let connection = table[token] {
                note(events, of: connection)
            }
        }
        acceptFromHost()
    }

    private func acceptFromHost() {
        while listenerReady, !table.isFull {
            do throws(Errno) {
                guard let socket = try Sockets.accept(listener) else {
                    listenerReady = false
                    return
                }
                greet(table.add(socket, stage: .greeting([])))
            } catch {
                // No descriptor left, most likely: they wait, and the next connection that ends makes room.
                return
            }
        }
    }

    /// Moves what can be moved.
    /// - Returns: whether there is more to do at once.
    func run(_ queues: inout VsockQueues) throws(QueueError) -> Bool {
        queues.tx.suppressKicks()
        queues.rx.suppressKicks()
        for _ in 0..<8 {
            let morePackets = try takePackets(&queues)
            let moreToSend = try sendListed(&queues)
            queues.publish(&counters)
            if morePackets || moreToSend { continue }
            // A guest that takes no RSTs may not make us keep more of them.
            var again = strays.count < Self.mostStrays ? try queues.tx.armKicks() : false
            // Only who has something for the guest waits for its buffers.
            if !listed.isEmpty || !strays.isEmpty, try queues.rx.armKicks() { again = true }
            if !again { return false }
            queues.tx.suppressKicks()
            queues.rx.suppressKicks()
        }
        return true
    }

    /// Moves what can be moved now, and asks for no kick.
    /// - Returns: whether there was anything.
    func poll(_ queues: inout VsockQueues) throws(QueueError) -> Bool {
        let before = counters.packetsFromGuest &+ counters.packetsToGuest
        queues.tx.suppressKicks()
        queues.rx.suppressKicks()
        _ = try takePackets(&queues)
        _ = try sendListed(&queues)
        queues.publish(&counters)
        return counters.packetsFromGuest &+ counters.packetsToGuest != before
    }

    /// - Returns: whether the budget was used up before the queue.
    func takePackets(_ queues: inout VsockQueues) throws(QueueError) -> Bool {
        for _ in 0..<Self.packetBudget {
            guard strays.count < Self.mostStrays, try queues.nextPacket() else { return false }
            handlePacket(&queues)
            queues.finishPacket()
        }
        return true
    }

    /// Sends RSTs, then gives every listed connection its turn, as long as there are buffers.
    /// - Returns: whether the budget was used up before the buffers and the list.
    private func sendListed(_ queues: inout VsockQueues) throws(QueueError) -> Bool {
        var sent = 0
        defer { strays.removeFirst(sent) }
        while sent < strays.count {
            guard try queues.send(strays[sent], &counters) else { return false }
            sent += 1
        }
        for _ in 0..<Self.packetBudget {
            guard let token = listed.first else { return false }
            guard let connection = table[token] else {
                listed.removeFirst()
                continue
            }
            guard try serve(connection, &queues) else { return false }
            listed.removeFirst()
            connection.isListed = false
            list(connection)
            // Not at the end of all: the guest works on these while we read the next.
            queues.publish(&counters)
        }
        return true
    }

    /// Puts the connection on the list if it has something for the guest.
    func list(_ connection: Connection) {
        guard !connection.isListed, !connection.owed.isEmpty || connection.wantsToSend else { return }
        if connection.owed.isEmpty, connection.credit.available == 0 {
            // On the list again when the guest grants more; asked for once.
            if connection.creditAsked { return }
            connection.creditAsked = true
            connection.owed.insert(.creditRequest)
        }
        connection.isListed = true
        listed.append(connection.token)
    }

    func remove(_ connection: Connection) {
        table.remove(connection)
        if listenerReady { acceptFromHost() }
    }
}

/// A queue of tokens.
private struct TokenQueue {
    private var tokens: [UInt64] = []
    private var start = 0

    var isEmpty: Bool { start == tokens.count }
    var first: UInt64? { isEmpty ? nil : tokens[start] }

    mutating func append(_ token: UInt64) { tokens.append(token) }

    mutating func removeFirst() {
        start += 1
        // Half of it gone: moved up, so that it stays as short as its contents.
        if start >= 64, 2 * start >= tokens.count {
            tokens.removeFirst(start)
            start = 0
        } else if start == tokens.count {
            tokens.removeAll(keepingCapacity: true)
            start = 0
        }
    }
}

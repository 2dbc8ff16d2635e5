import LinuxSys
import VMMWire

/// The Unix sockets.
extension VsockSwitch {
    /// - Returns: false when the kernel refuses to watch the socket.
    func watch(_ connection: Connection) -> Bool {
        let events: ReadyEvents = [.readable, .writable, .peerClosed, .edgeTriggered]
        return (try? epoll.add(connection.socket.raw, events, token: connection.token)) != nil
    }

    func greet(_ connection: Connection) {
        guard watch(connection) else { return remove(connection) }
        // What it has to say is mostly there already; then it need not wait for the event.
        readGreeting(connection, [])
    }

    /// What epoll says.
    func note(_ events: ReadyEvents, of connection: Connection) {
        if !events.isDisjoint(with: [.readable, .peerClosed, .hangUp, .error]) { connection.readable = true }
        if events.contains(.writable) { connection.writable = true }
        if !events.isDisjoint(with: [.peerClosed, .hangUp, .error]) { connection.peerClosed = true }
        if !events.isDisjoint(with: [.hangUp, .error]) { connection.peerGone = true }
        switch connection.stage {
        case .greeting(let said):
            readGreeting(connection, said)
        case .waiting:
            if connection.peerGone { remove(connection) }
        case .requested:
            if connection.peerGone { reset(connection) }
        case .established, .draining:
            if connection.writable, !connection.pending.isEmpty { flush(connection) }
            settle(connection)
        }
    }

    private func readGreeting(_ connection: Connection, _ said: [UInt8]) {
        let part: [UInt8]
        do throws(Errno) {
            // Not a byte more: what follows is for the guest.
            part = try connection.socket.read(upTo: VsockConnectRequest.byteCount - said.count)
        } catch {
            if error != .wouldBlock { remove(connection) }
            return
        }
        if part.isEmpty { return remove(connection) }
        let all = said + part
        guard all.count == VsockConnectRequest.byteCount else { return connection.stage = .greeting(all) }
        guard let request = VsockConnectRequest(all) else { return remove(connection) }
        connection.readable = true
        connection.stage = .waiting(port: request.port)
        if isActive { open(connection) }
    }

    /// Sends the REQUEST of a waiting connection.
    func open(_ connection: Connection) {
        guard case .waiting(let port) = connection.stage else { return }
        let deadline = Clock.monotonicNanoseconds() + Self.requestNanoseconds
        connection.stage = .requested(deadline: deadline)
        nextDeadline = min(nextDeadline ?? deadline, deadline)
        table.name(connection, table.freeKey(toGuest: port))
        connection.owed.insert(.request)
        list(connection)
    }

    /// Tells a client from the host what became of its request. Four bytes always fit a socket that had none.
    func answer(_ connection: Connection, _ reply: VsockConnectReply) -> Bool {
        let bytes = reply.bytes
        return (try? Sockets.sendNow(bytes, from: 0, over: connection.socket)) == bytes.count
    }

    /// Ends a connection that can't be, or can't go on; the host gets `error` if it waits for an answer.
    /// - Parameter tell: the guest too, with a RST.
    func refuse(_ connection: Connection, _ error: Errno, tell: Bool = true) {
        switch connection.stage {
        case .waiting, .requested: _ = answer(connection, VsockConnectReply(errno: error.rawValue))
        case .greeting, .established, .draining: break
        }
        if tell { reset(connection) } else { remove(connection) }
    }

    func flush(_ connection: Connection) {
        do throws(Errno) {
            let sent = try connection.pending.drain { bytes, start throws(Errno) in
                do throws(Errno) {
                    return try Sockets.sendNow(bytes, from: start, over: connection.socket)
                } catch {
                    if error == .wouldBlock { return 0 }
                    throw error
                }
            }
            connection.credit.forward(UInt32(truncatingIfNeeded: sent))
        } catch {
            return hostDeaf(connection)
        }
        if !connection.pending.isEmpty {
            connection.writable = false
        } else if connection.guestEnded.contains(.send) {
            try? Sockets.shutdownWriting(connection.socket)
        }
    }

    /// The socket takes nothing any more: what was kept for it has no use, and the guest gets its credit back.
    func hostDeaf(_ connection: Connection) {
        connection.hostDeaf = true
        connection.credit.forward(UInt32(truncatingIfNeeded: connection.pending.count))
        connection.pending.removeAll()
    }

    /// Draws the consequences of whatever has changed.
    func settle(_ connection: Connection) {
        if connection.hostEnded, connection.peerGone, !connection.hostDeaf { hostDeaf(connection) }
        if case .draining = connection.stage {
            if connection.pending.isEmpty || connection.peerGone { remove(connection) }
            return
        }
        // Both directions ended, and all that the guest sent is delivered: the RST tells it so (§5.10.6.5).
        if connection.guestEnded == .both, connection.pending.isEmpty { return reset(connection) }
        if connection.ended != connection.toldEnded { connection.owed.insert(.shutdown) }
        if connection.credit.updateIsDue { connection.owed.insert(.creditUpdate) }
        list(connection)
    }

    /// Refuses the connections whose REQUEST was not answered in time.
    func expire() {
        guard let due = nextDeadline, Clock.monotonicNanoseconds() >= due else { return }
        nextDeadline = nil
        let now = Clock.monotonicNanoseconds()
        for connection in table.all {
            guard case .requested(let deadline) = connection.stage else { continue }
            if deadline <= now {
                refuse(connection, .timedOut)
            } else {
                nextDeadline = min(nextDeadline ?? deadline, deadline)
            }
        }
    }
}

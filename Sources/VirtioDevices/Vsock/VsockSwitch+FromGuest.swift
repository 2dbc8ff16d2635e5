import LinuxSys
import VMMWire
import Virtio

/// What the guest sends (virtio 1.2 §5.10.6).
extension VsockSwitch {
    /// Does what the packet at hand says. A guest can send anything: whatever is not right is answered with RST,
    /// except a RST.
    func handlePacket(_ queues: inout VsockQueues) {
        counters.packetsFromGuest &+= 1
        guard let header = queues.packetHeader() else {
            counters.badPackets &+= 1
            return
        }
        let operation = VsockOperation(rawValue: header.operation)
        let key = ConnectionKey(host: header.destinationPort, guest: header.sourcePort)
        guard header.sourceCID == guestCID, header.destinationCID == VsockHeader.hostCID,
            header.type == VsockHeader.stream
        else {
            if operation != .reset { reset(header.reset(guestCID: guestCID)) }
            return
        }
        guard let connection = table[key] else {
            switch operation {
            case .request: acceptFromGuest(header, key)
            case .reset: break
            default: reset(header.reset(guestCID: guestCID))
            }
            return
        }
        connection.credit.told(header)
        // Asked once each time that it runs out: a guest that is slow to read would only repeat itself.
        if connection.credit.available > 0 { connection.creditAsked = false }
        switch (operation, connection.stage) {
        case (.reset, _):
            guestGone(connection)
        case (.response, .requested):
            guestAccepted(connection)
        case (.readWrite, .established) where queues.packetHolds(header.length):
            deliver(header.length, to: connection, &queues)
        case (.shutdown, .established):
            guestEnded(connection, ShutdownFlags(rawValue: header.flags))
        case (.creditUpdate, .established):
            settle(connection)
        case (.creditRequest, .established):
            connection.owed.insert(.creditUpdate)
            list(connection)
        default:
            // Nothing that the protocol knows in this state: the connection can't be trusted any more.
            refuse(connection, .connectionReset)
        }
    }

    private func acceptFromGuest(_ header: VsockHeader, _ key: ConnectionKey) {
        if table.isFull {
            counters.refusedForNumber &+= 1
            return reset(header.reset(guestCID: guestCID))
        }
        // A listener with a full backlog refuses as one that is not there: waiting for it would hold up all others.
        let name = VsockSocketName.fromGuest(port: key.host)
        guard let socket = try? Sockets.connectAtOnce(to: name, in: directory) else {
            return reset(header.reset(guestCID: guestCID))
        }
        let connection = table.add(socket, stage: .established)
        table.name(connection, key)
        connection.credit.told(header)
        connection.owed.insert(.response)
        guard watch(connection) else { return reset(connection) }
        counters.connectionsFromGuest &+= 1
        list(connection)
    }

    private func guestAccepted(_ connection: Connection) {
        guard answer(connection, .connected) else { return reset(connection) }
        connection.stage = .established
        counters.connectionsToGuest &+= 1
        list(connection)
    }

    /// Data for the host: to the socket what it takes, the rest is kept.
    private func deliver(_ count: UInt32, to connection: Connection, _ queues: inout VsockQueues) {
        guard !connection.guestEnded.contains(.send), connection.credit.accept(count) else {
            return reset(connection)
        }
        counters.bytesFromGuest &+= UInt64(count)
        var sent: UInt32 = 0
        if connection.hostDeaf {
            sent = count
        } else {
            if connection.pending.isEmpty, connection.writable, count > 0 {
                do throws(Errno) {
                    sent = try queues.sendPayload(count, to: connection.socket)
                    if sent < count { connection.writable = false }
                } catch {
                    if error == .wouldBlock { connection.writable = false } else { hostDeaf(connection) }
                }
            }
            if connection.hostDeaf {
                sent = count
            } else if sent < count {
                counters.bytesBuffered &+= UInt64(count - sent)
                queues.keepPayload(from: sent, to: count, in: &connection.pending)
            }
        }
        connection.credit.forward(sent)
        settle(connection)
    }

    private func guestEnded(_ connection: Connection, _ flags: ShutdownFlags) {
        let new = flags.intersection(.both).subtracting(connection.guestEnded)
        connection.guestEnded.formUnion(new)
        if new.contains(.receive) {
            // Fails when the peer has gone: then it knows.
            try? Sockets.shutdownReading(connection.socket)
        }
        if new.contains(.send), connection.pending.isEmpty { try? Sockets.shutdownWriting(connection.socket) }
        settle(connection)
    }

    /// RST: the guest knows the connection no more. What it had sent is still delivered.
    func guestGone(_ connection: Connection) {
        guard case .established = connection.stage else { return refuse(connection, .connectionRefused, tell: false) }
        table.unname(connection)
        connection.owed = []
        if connection.pending.isEmpty { return remove(connection) }
        connection.stage = .draining
        try? Sockets.shutdownReading(connection.socket)
    }
}

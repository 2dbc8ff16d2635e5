import LinuxSys
import Virtio

/// What goes to the guest.
extension VsockSwitch {
    /// A packet of the connection, its counts included.
    private func header(_ operation: VsockOperation, _ connection: Connection) -> VsockHeader {
        var header = VsockHeader()
        header.sourceCID = VsockHeader.hostCID
        header.destinationCID = guestCID
        header.sourcePort = connection.key?.host ?? 0
        header.destinationPort = connection.key?.guest ?? 0
        header.operation = operation.rawValue
        return header
    }

    /// One turn of a listed connection: what it owes, then data.
    /// - Returns: false when the guest's buffers ran out; the connection keeps its turn.
    func serve(_ connection: Connection, _ queues: inout VsockQueues) throws(QueueError) -> Bool {
        guard try sendOwed(connection, &queues) else { return false }
        guard connection.wantsToSend, connection.credit.available > 0 else { return true }
        switch try queues.fill(from: connection, header(.readWrite, connection), &counters) {
        case .noBuffers:
            return false
        case .wouldBlock:
            connection.readable = false
        case .filled(_, let short):
            connection.owed.remove(.creditUpdate)
            // Edge-triggered: after a short read the next byte is an event. The end of the stream was one already.
            if short, !connection.peerClosed { connection.readable = false }
        case .ended:
            connection.hostEnded = true
        case .failed:
            // A reset socket: nothing more comes, nothing more goes.
            connection.hostEnded = true
            connection.peerGone = true
        }
        settle(connection)
        return true
    }

    /// - Returns: false when the guest's buffers ran out.
    private func sendOwed(_ connection: Connection, _ queues: inout VsockQueues) throws(QueueError) -> Bool {
        while let (packet, operation) = Self.next(connection.owed) {
            var header = header(operation, connection)
            if packet == .shutdown { header.flags = connection.ended.rawValue }
            let announcing = connection.credit
            connection.credit.announce(in: &header)
            guard try queues.send(header, &counters) else {
                connection.credit = announcing
                return false
            }
            connection.owed.remove(packet)
            if packet == .shutdown { connection.toldEnded = connection.ended }
            connection.owed.remove(.creditUpdate)
        }
        return true
    }

    private static func next(_ owed: OwedPackets) -> (OwedPackets, VsockOperation)? {
        if owed.isEmpty { return nil }
        if owed.contains(.request) { return (.request, .request) }
        if owed.contains(.response) { return (.response, .response) }
        if owed.contains(.creditUpdate) { return (.creditUpdate, .creditUpdate) }
        if owed.contains(.creditRequest) { return (.creditRequest, .creditRequest) }
        return (.shutdown, .shutdown)
    }

    /// A RST to the guest for a packet, or for a connection that it still knows.
    func reset(_ answer: VsockHeader) {
        strays.append(answer)
        counters.resets &+= 1
    }

    func reset(_ connection: Connection) {
        reset(header(.reset, connection))
        remove(connection)
    }
}

import GuestMemory
import LinuxSys
import Virtio

/// The queues of an activated device (virtio 1.2 §5.10.2) and the scratch memory that spares allocations.
///
/// The event queue is not here: it only serves migration (§5.10.6.7), and QEMU keeps it for itself.
struct VsockQueues: ~Copyable {
    static let receive = 0
    static let transmit = 1
    /// Buffers that one read may fill. 4 KiB each with a Linux guest.
    private static let mostBuffers = 32

    /// What became of a socket that was read into the guest's buffers.
    enum Fill {
        case noBuffers
        case wouldBlock
        /// Bytes that went to the guest; a short read says that there are no more for now.
        case filled(UInt32, short: Bool)
        case ended
        case failed(Errno)
    }

    private let memory: GuestMemory
    var rx: Virtqueue
    var tx: Virtqueue
    /// The packet from the guest at hand.
    private var packet = DescriptorChain()
    private var buffers = [DescriptorChain](repeating: DescriptorChain(), count: mostBuffers)
    private var payload: [GuestSegment] = []
    private var headerBytes = [UInt8](repeating: 0, count: VsockHeader.byteCount)

    init(_ setup: DeviceSetup) throws(QueueError) {
        guard setup.queues.count > Self.transmit, let rx = setup.queues[Self.receive],
            let tx = setup.queues[Self.transmit]
        else { throw .badSize(0) }
        self.init(
            memory: setup.memory, rx: try Virtqueue(rx, memory: setup.memory, features: setup.features),
            tx: try Virtqueue(tx, memory: setup.memory, features: setup.features))
    }

    private init(memory: GuestMemory, rx: consuming Virtqueue, tx: consuming Virtqueue) {
        self.memory = memory
        self.rx = rx
        self.tx = tx
    }

    mutating func publish(_ counters: inout VsockCounters) {
        if rx.publish() { counters.interrupts &+= 1 }
        if tx.publish() { counters.interrupts &+= 1 }
    }

    // MARK: From the guest

    /// Takes the next packet. With `true` it is at hand until `finishPacket`.
    mutating func nextPacket() throws(QueueError) -> Bool { try tx.pop(into: &packet) }

    mutating func finishPacket() { tx.push(packet.head, written: 0) }

    /// The header of the packet at hand; nil when it has no whole one or less payload than it says.
    mutating func packetHeader() -> VsockHeader? {
        guard let count = try? memory.gather(packet.readable, into: &headerBytes), count == VsockHeader.byteCount,
            let header = VsockHeader(headerBytes)
        else { return nil }
        return header
    }

    /// Whether the packet at hand has `count` bytes of payload.
    func packetHolds(_ count: UInt32) -> Bool {
        packet.readableBytes >= UInt32(VsockHeader.byteCount)
            && packet.readableBytes - UInt32(VsockHeader.byteCount) >= count
    }

    /// Sends at most `count` bytes of the packet's payload to a socket, straight from guest memory.
    func sendPayload(_ count: UInt32, to socket: borrowing FileDescriptor) throws(Errno) -> UInt32 {
        UInt32(
            truncatingIfNeeded: try memory.send(
                packet.readable, skipping: VsockHeader.byteCount, limit: Int(count), to: socket.raw))
    }

    /// Copies the payload from byte `offset` to byte `count`.
    func keepPayload(from offset: UInt32, to count: UInt32, in pending: inout PendingBytes) {
        let memory = memory
        let segments = packet.readable
        pending.append(atMost: Int(count - offset)) { bytes in
            // Its segments were checked when it was popped.
            _ = try? memory.append(
                segments, skipping: VsockHeader.byteCount + Int(offset), count: Int(count - offset), to: &bytes)
        }
    }

    // MARK: To the guest

    /// Sends a packet without payload.
    /// - Returns: false when the guest has given no buffer.
    mutating func send(_ header: VsockHeader, _ counters: inout VsockCounters) throws(QueueError) -> Bool {
        guard try nextBuffer(0, &counters) else { return false }
        put(header, into: 0)
        counters.packetsToGuest &+= 1
        return true
    }

    /// Reads a socket into as many of the guest's buffers as the connection's credit and habit allow.
    mutating func fill(
        from connection: Connection, _ header: VsockHeader, _ counters: inout VsockCounters
    ) throws(QueueError) -> Fill {
        let limit = Int(connection.credit.available)
        var taken = 0
        var room = 0
        payload.removeAll(keepingCapacity: true)
        while taken < min(connection.batch, Self.mostBuffers), room < limit {
            guard try nextBuffer(taken, &counters) else { break }
            room += addPayload(of: taken)
            taken += 1
        }
        guard taken > 0 else { return .noBuffers }
        let asked = min(room, limit)
        let got: Int
        do throws(Errno) {
            got = try memory.receive(from: connection.socket.raw, into: payload, limit: asked)
        } catch {
            rx.rewind(taken)
            return error == .wouldBlock ? .wouldBlock : .failed(error)
        }
        let used = distribute(got, of: taken, header, connection)
        rx.rewind(taken - used)
        counters.packetsToGuest &+= UInt64(used)
        counters.bytesToGuest &+= UInt64(got)
        if got == 0 { return .ended }
        connection.batch = got == asked ? min(2 * connection.batch, Self.mostBuffers) : max(used, 1)
        return .filled(UInt32(truncatingIfNeeded: got), short: got < asked)
    }

    /// Writes headers for `count` bytes that are in the buffers' payload.
    /// - Returns: how many buffers they fill.
    private mutating func distribute(
        _ count: Int, of taken: Int, _ header: VsockHeader, _ connection: Connection
    ) -> Int {
        var left = UInt32(truncatingIfNeeded: count)
        var used = 0
        while left > 0, used < taken {
            let part = min(left, buffers[used].writableBytes - UInt32(VsockHeader.byteCount))
            var header = header
            header.length = part
            connection.credit.announce(in: &header)
            connection.credit.spend(part)
            put(header, into: used)
            left -= part
            used += 1
        }
        return used
    }

    /// Pops a buffer that has room for a header and something more.
    private mutating func nextBuffer(_ index: Int, _ counters: inout VsockCounters) throws(QueueError) -> Bool {
        for _ in 0..<64 {
            guard try rx.pop(into: &buffers[index]) else { return false }
            if buffers[index].writableBytes > UInt32(VsockHeader.byteCount), buffers[index].readable.isEmpty {
                return true
            }
            // Buffers go back in order; behind others it is this one's turn the next time.
            if index > 0 {
                rx.rewind(1)
                return false
            }
            counters.badPackets &+= 1
            rx.push(buffers[index].head, written: 0)
        }
        return false
    }

    /// Appends what is behind the header's place to `payload`; returns how many bytes.
    private mutating func addPayload(of index: Int) -> Int {
        var skip = UInt32(VsockHeader.byteCount)
        for segment in buffers[index].writable {
            if skip >= segment.count {
                skip -= segment.count
                continue
            }
            // The segment is in guest memory, so its addresses do not overflow.
            payload.append(GuestSegment(address: segment.address &+ UInt64(skip), count: segment.count - skip))
            skip = 0
        }
        return Int(buffers[index].writableBytes) - VsockHeader.byteCount
    }

    private mutating func put(_ header: VsockHeader, into index: Int) {
        header.encode(into: &headerBytes)
        // Checked when it was popped.
        _ = try? memory.scatter(headerBytes, into: buffers[index].writable)
        rx.push(buffers[index].head, written: UInt32(VsockHeader.byteCount) &+ header.length)
    }
}

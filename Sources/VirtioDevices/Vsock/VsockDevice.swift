import LinuxSys
import VMMWire
import Virtio

/// The virtio socket device (virtio 1.2 §5.10), stream sockets only. Its host side are Unix stream sockets in a
/// directory: `vsock.sock` leads to the guest (see `VsockConnectRequest`), and a guest's connection to port P of the
/// host goes to `vsock-P.sock`.
public struct VsockDevice: VirtioDevice, ~Copyable {
    private let cid: UInt64
    private let sockets: VsockSwitch
    private var activation = Activation<VsockQueues>.inactive
    private var eventsDue = true
    /// Found while polling.
    private var failure: QueueError?

    /// Descriptors that a process with such a device may need, with some to spare for the rest of it.
    public static var mostDescriptors: UInt64 { UInt64(ConnectionTable.mostConnections) + 64 }

    /// What it has done so far.
    public var counters: VsockCounters { sockets.counters }
    public var isActive: Bool { activation.isActive }

    /// Listens at `vsock.sock` in `directory`.
    /// - Parameter guestCID: the guest's address, 3 to 2^32 - 2 (§5.10.4).
    /// - Throws: `invalidArgument` for another address, and what bind(2) says.
    public init(guestCID: UInt64, directory: consuming FileDescriptor) throws(Errno) {
        guard guestCID >= 3, guestCID < UInt64(UInt32.max) else { throw .invalidArgument }
        let listener = try Sockets.listen(at: VsockSocketName.toGuest, in: directory)
        self.init(try VsockSwitch(guestCID: guestCID, directory: directory, listener: listener))
    }

    private init(_ sockets: VsockSwitch) {
        cid = sockets.guestCID
        self.sockets = sockets
    }

    // MARK: VirtioDevice

    /// No VIRTIO_VSOCK_F_STREAM: without any of its bits the device is a stream device (§5.10.3), for drivers that
    /// are older than the bit too. No indirect descriptors: no gain was seen, and Linux allocates a table per packet.
    public var features: VirtioFeatures { [.version1, .eventIndex] }
    public var queueCount: Int { 3 }
    public var requiredQueues: Int { 2 }
    public var descriptor: Int32? { sockets.epoll.raw }

    /// `struct virtio_vsock_config` (§5.10.4): guest_cid, 8 bytes.
    public func configuration(at offset: UInt32, count: UInt32) -> [UInt8]? {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: cid >> (8 * $0)) }
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= 8 else { return nil }
        return Array(bytes[Int(offset)..<Int(end)])
    }

    public mutating func setConfiguration(_ bytes: [UInt8], at offset: UInt32) -> Bool { false }

    public mutating func activate(_ setup: DeviceSetup) throws(QueueError) {
        let queues = try VsockQueues(setup)
        // A driver that starts knows no connection; one that was paused goes on where it was, and that is not 0.
        if queues.rx.position.nextAvailable == 0, queues.tx.position.nextAvailable == 0 { sockets.driverGone() }
        activation = .activated(queues)
        failure = nil
        sockets.driverReady()
    }

    public mutating func deactivate() -> [QueuePosition?] {
        let sockets = sockets
        let positions = activation.withActive { queues -> [QueuePosition?] in
            // What the guest has sent is not to be lost when it ends. Bounded, whatever it adds meanwhile.
            for _ in 0..<8 where (try? sockets.takePackets(&queues)) == true {}
            queues.publish(&sockets.counters)
            return [queues.rx.position, queues.tx.position, nil]
        }
        activation = .inactive
        sockets.isActive = false
        return positions ?? [nil, nil, nil]
    }

    public mutating func reset() {
        activation = .inactive
        sockets.isActive = false
        sockets.driverGone()
    }

    public func save() -> VsockState { VsockState(nextPort: sockets.table.nextPort) }

    public mutating func restore(_ state: VsockState) { sockets.table.restorePorts(next: state.nextPort) }

    public mutating func queueKicked(_ index: Int) {}

    public mutating func descriptorReady() { eventsDue = true }

    public mutating func poll() -> Bool {
        guard isActive, failure == nil else { return false }
        let sockets = sockets
        collectEvents()
        do throws(QueueError) {
            return try activation.withActive { queues throws(QueueError) in try sockets.poll(&queues) } ?? false
        } catch {
            failure = error
            return false
        }
    }

    private mutating func collectEvents() {
        guard eventsDue else { return }
        eventsDue = false
        sockets.collectEvents()
    }

    public mutating func run() -> NextRun {
        let sockets = sockets
        collectEvents()
        if isActive { sockets.expire() }
        do throws(QueueError) {
            if let failure { throw failure }
            let more = try activation.withActive { queues throws(QueueError) in try sockets.run(&queues) }
            if more == true { return .atOnce }
        } catch {
            activation = .inactive
            failure = nil
            sockets.isActive = false
            sockets.driverBroken()
            return .broken(error)
        }
        return sockets.nextRun()
    }

    /// The guest has ended: hands what it had sent to those who still read it, for at most `milliseconds`.
    public mutating func finish(withinMilliseconds milliseconds: UInt32) {
        reset()
        sockets.drain(untilNanoseconds: Clock.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000)
    }
}

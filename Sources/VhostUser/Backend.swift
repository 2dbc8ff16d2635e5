import GuestMemory
import LinuxSys
import Virtio

/// Serves a device model to a vhost-user front end (QEMU) over a connected socket, on one thread.
///
/// The protocol: https://qemu.readthedocs.io/en/latest/interop/vhost-user.html
public struct Backend<Device: VirtioDevice & ~Copyable>: ~Copyable {
    /// Epoll tokens; the kick of queue n is `firstKick + n`.
    private static var socketToken: UInt64 { 0 }
    private static var deviceToken: UInt64 { 1 }
    private static var firstKick: UInt64 { 2 }
    /// Nanoseconds of polling before messages and `run`, which does more than look at queues, get their turn.
    private static var longestPolling: UInt64 { 5_000_000 }

    public var device: Device
    let channel: Channel
    private let epoll: Epoll
    private let report: (String) -> Void

    var features = VirtioFeatures()
    var protocolFeatures = ProtocolFeatures()
    var memory: GuestMemory?
    let rings: [Vring]
    public private(set) var isActive = false
    /// The driver broke a queue; nothing is tried again before the front end has stopped the queues.
    private var isBroken = false
    private var next = NextRun.atOnce
    private let hasDescriptor: Bool
    private var polling: BusyPolling
    /// When the device was last done with a buffer, in nanoseconds.
    private var lastWork: UInt64 = 0

    /// - Parameters:
    ///   - device: of at most 32 queues.
    ///   - socket: connected; it has to block.
    ///   - polling: how long the queues are looked at before the thread sleeps.
    ///   - report: told in one line when the guest's driver breaks a queue.
    public init(
        _ device: consuming Device, over socket: consuming FileDescriptor,
        polling: BusyPolling = BusyPolling(longestNanoseconds: 0), report: @escaping (String) -> Void
    ) throws(Errno) {
        let epoll = try Epoll()
        try epoll.add(socket.raw, [.readable, .peerClosed], token: Self.socketToken)
        if let descriptor = device.descriptor { try epoll.add(descriptor, .readable, token: Self.deviceToken) }
        self.init(device, Channel(socket), epoll, polling, report)
    }

    private init(
        _ device: consuming Device, _ channel: consuming Channel, _ epoll: consuming Epoll, _ polling: BusyPolling,
        _ report: @escaping (String) -> Void
    ) {
        rings = (0..<device.queueCount).map { _ in Vring() }
        hasDescriptor = device.descriptor != nil
        self.device = device
        self.channel = channel
        self.epoll = epoll
        self.polling = polling
        self.report = report
    }

    /// One wait and what it brings. When the front end closes the socket, what the guest had made available by then is
    /// still taken.
    /// - Parameter limit: milliseconds to wait at most; -1 is for ever.
    /// - Returns: false when the front end has closed the socket.
    public mutating func turn(atMostMilliseconds limit: CInt = -1) throws(VhostUserError) -> Bool {
        var messages = try collect(waitingMilliseconds: waitTime(limit))
        if !messages { messages = try poll() }
        runDevice()
        guard messages else { return true }
        guard let message = try channel.receive() else {
            stop()
            return false
        }
        try handle(message)
        return true
    }

    /// - Returns: whether there is a message on the socket.
    private mutating func collect(waitingMilliseconds limit: CInt) throws(VhostUserError) -> Bool {
        var messages = false
        var deviceReady = false
        var kicks: UInt64 = 0
        do throws(Errno) {
            try epoll.wait(milliseconds: limit) { token, _ in
                switch token {
                case Self.socketToken: messages = true
                case Self.deviceToken: deviceReady = true
                default: kicks |= 1 << (token &- Self.firstKick)
                }
            }
        } catch {
            throw .system("epoll", error)
        }
        if deviceReady { device.descriptorReady() }
        if kicks != 0, isActive {
            for index in rings.indices where kicks & 1 << UInt64(index) != 0 { device.queueKicked(index) }
        }
        return messages
    }

    /// Has the device work without kicks, as long as there is something to do within the window.
    /// - Returns: whether there is a message on the socket.
    private mutating func poll() throws(VhostUserError) -> Bool {
        guard isActive, !polling.isOff else { return false }
        let began = Clock.monotonicNanoseconds()
        var now = began
        while now - began < Self.longestPolling {
            let worked = device.poll()
            if worked {
                polling.found(after: now - lastWork)
                lastWork = Clock.monotonicNanoseconds()
            } else if now - lastWork > polling.window {
                return false
            } else {
                // Nobody waits for a processor because of us: not the guest, nor QEMU's thread that interrupts it.
                ProcessControl.yield()
            }
            // A device without a descriptor of its own has nothing to gain from a system call between two buffers.
            if !worked || hasDescriptor, try collect(waitingMilliseconds: 0) { return true }
            now = Clock.monotonicNanoseconds()
        }
        return false
    }

    private func waitTime(_ limit: CInt) -> CInt {
        let wish: CInt =
            switch next {
            case .atOnce: 0
            case .within(let milliseconds): CInt(clamping: milliseconds)
            case .whenWoken, .broken: -1
            }
        if wish < 0 { return limit }
        return limit < 0 ? wish : min(wish, limit)
    }

    private mutating func runDevice() {
        next = device.run()
        if case .broken(let error) = next { broken(error) }
    }

    private mutating func broken(_ error: QueueError) {
        report(VhostUserError.queue(error).description)
        isActive = false
        isBroken = true
        for ring in rings { try? ring.error?.signal() }
    }

    // MARK: The life of the device

    /// Activates the device when the last thing has come that it needs.
    mutating func start() throws(VhostUserError) {
        guard !isActive, !isBroken, let memory, rings.prefix(device.requiredQueues).allSatisfy(\.isComplete) else {
            return
        }
        var queues: [QueueConfiguration?] = []
        for (index, ring) in rings.enumerated() { queues.append(try ring.configuration(memory, index: index)) }
        do throws(QueueError) {
            try device.activate(DeviceSetup(memory: memory, features: features, queues: queues))
            isActive = true
            next = .atOnce
        } catch {
            broken(error)
        }
    }

    /// Takes the queues from the device, and remembers where they stand.
    mutating func stop() {
        isBroken = false
        guard isActive else { return }
        isActive = false
        for (ring, position) in zip(rings, device.deactivate()) {
            if let position { ring.position = position }
        }
    }

    mutating func reset() {
        stop()
        device.reset()
        for (index, ring) in rings.enumerated() {
            ring.isEnabled = false
            setKick(nil, of: index)
        }
    }

    /// Watches the kick descriptor of queue `index` in place of the one it had.
    mutating func setKick(_ kick: consuming EventDescriptor?, of index: Int) {
        let ring = rings[index]
        if let old = ring.kick?.raw {
            // The front end still has the eventfd open, so closing ours would not end the watch. Drained, for it may
            // be used again for another purpose.
            try? epoll.remove(old)
            _ = try? ring.kick?.drain()
        }
        ring.kick = kick
        // Told once for each kick, so that it needs no read: that is one system call less on the way of every batch.
        if let raw = ring.kick?.raw {
            try? epoll.add(raw, [.readable, .edgeTriggered], token: Self.firstKick + UInt64(index))
        }
    }
}

import LinuxSys
import Spawn

/// The supervisor's side of the process that stands for the container's init on the host (`StandInProcess`).
final class InitStandIn {
    enum Event {
        /// It was sent this one, which is meant for the init.
        case signal(Int32)
        /// It is in the container's place.
        case entered
        case failed(RuntimeError)
        /// It was killed: nothing else ends it before it is told so.
        case gone
    }

    private let channel: SharedDescriptor
    private let loop: EventLoop
    private var token: EventLoop.Token?
    var events: (Event) -> Void = { _ in }

    init(_ channel: consuming FileDescriptor, loop: EventLoop) throws(Errno) {
        self.channel = SharedDescriptor(channel)
        self.loop = loop
        try self.channel.descriptor.setNonBlocking()
        token = try loop.watch(self.channel.raw, .readable) { [weak self] _ in self?.take() }
    }

    /// Has it go to the container's place, which must have been made.
    func enter() { send(StandInMessage.enter) }

    /// Has it end with this code.
    func exit(_ code: Int32) {
        if let token { loop.unwatch(token) }
        token = nil
        send(StandInMessage.exit(code))
    }

    private func send(_ message: [UInt8]) {
        _ = try? Sockets.send(message, descriptors: [], over: channel.descriptor)
    }

    private func take() {
        do throws(Errno) {
            let bytes = try channel.descriptor.read(upTo: 16)
            switch StandInMessage(bytes) {
            case .signal(let signal): events(.signal(signal))
            case .ready: events(.entered)
            case .failed(let step, let errno):
                events(.failed(RuntimeError("the container's process on the host: \(step): \(errno)")))
            case nil: lose()
            }
        } catch .wouldBlock {
        } catch {
            lose()
        }
    }

    private func lose() {
        if let token { loop.unwatch(token) }
        token = nil
        events(.gone)
    }
}

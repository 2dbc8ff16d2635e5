import AgentProtocol
import LinuxSys

/// The connection to the host over which requests, answers and events go.
final class ControlStream {
    private let loop: EventLoop
    private let socket: FileDescriptor
    private var watch: EventLoop.Token = 0
    private var decoder = FrameDecoder()
    private var outgoing: [UInt8] = []
    private let receive: (Frame) -> Void
    private let ended: (String) -> Void

    /// Dials the host; a host that is not listening yet is tried again for a while.
    init(
        _ loop: EventLoop, receive: @escaping (Frame) -> Void, ended: @escaping (String) -> Void
    ) throws(Errno) {
        self.loop = loop
        self.receive = receive
        self.ended = ended
        socket = try Self.connect()
        watch = try loop.watch(socket.raw, .readable) { [self] events in ready(events) }
    }

    private static func connect() throws(Errno) -> FileDescriptor {
        for _ in 0..<50 {
            do throws(Errno) {
                return try Sockets.vsockConnect(cid: hostCID, port: AgentPort.control)
            } catch {
                pauseBriefly()
            }
        }
        return try Sockets.vsockConnect(cid: hostCID, port: AgentPort.control)
    }

    /// Sends a message; what the socket doesn't take now follows later, in order.
    func send(_ message: GuestMessage, request: UInt32 = 0) {
        outgoing += message.frame(request: request).encoded
        flush()
    }

    private func flush() {
        var done = 0
        do throws(Errno) {
            while done < outgoing.count { done += try socket.write(outgoing, from: done) }
        } catch .wouldBlock {
        } catch {
            return ended("write: \(error)")
        }
        outgoing.removeFirst(done)
        do throws(Errno) {
            try loop.change(watch, to: outgoing.isEmpty ? .readable : [.readable, .writable])
        } catch {
            ended("\(error)")
        }
    }

    private func ready(_ events: ReadyEvents) {
        if events.contains(.writable) { flush() }
        if !events.isDisjoint(with: [.readable, .hangUp, .error, .peerClosed]) { read() }
    }

    private func read() {
        do throws(Errno) {
            let bytes = try socket.read(upTo: 65536)
            if bytes.isEmpty { return ended("the host closed the connection") }
            decoder.append(bytes)
        } catch .wouldBlock {
            return
        } catch {
            return ended("read: \(error)")
        }
        do throws(WireError) {
            while let frame = try decoder.next() { receive(frame) }
        } catch {
            ended("\(error)")
        }
    }
}

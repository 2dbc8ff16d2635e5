import AgentProtocol
import LinuxSys

/// Takes the host's stdio streams: each says first which one it is.
final class StreamListener {
    /// Streams that nobody has asked for, or that have not said yet which they are.
    private static let most = 256
    private static let patience: UInt64 = 10_000

    private let loop: EventLoop
    private let socket: FileDescriptor
    /// Offers a stream; false if nobody waits for it now.
    private let claim: (UInt32, SharedDescriptor) -> Bool
    private var nameless: [EventLoop.Token: Nameless] = [:]
    private var parked: [UInt32: SharedDescriptor] = [:]

    private struct Nameless {
        let stream: SharedDescriptor
        var header: [UInt8] = []
    }

    init(_ loop: EventLoop, claim: @escaping (UInt32, SharedDescriptor) -> Bool) throws(Errno) {
        self.loop = loop
        self.claim = claim
        socket = try Sockets.vsockListen(port: AgentPort.streams)
        try loop.watch(socket.raw, .readable) { [self] _ in accept() }
    }

    /// A stream that came before it was asked for.
    func take(_ id: UInt32) -> SharedDescriptor? { parked.removeValue(forKey: id) }

    private func accept() {
        do throws(Errno) {
            while let stream = try Sockets.accept(socket) {
                // Only the host: a process of a container could reach the listener over a loopback transport.
                guard try Sockets.vsockPeer(stream).cid == hostCID, nameless.count + parked.count < Self.most else {
                    GuestConsole.say("a stream was turned away")
                    continue
                }
                try add(SharedDescriptor(stream))
            }
        } catch {
            GuestConsole.say("accept: \(error)")
        }
    }

    private func add(_ stream: SharedDescriptor) throws(Errno) {
        var own: EventLoop.Token?
        let token = try loop.watch(stream.raw, .readable) { [self] _ in
            if let own { readHeader(own) }
        }
        own = token
        nameless[token] = Nameless(stream: stream)
        loop.after(milliseconds: Self.patience) { [self] in drop(token) }
    }

    private func drop(_ token: EventLoop.Token) {
        if nameless.removeValue(forKey: token) != nil { loop.unwatch(token) }
    }

    private func readHeader(_ token: EventLoop.Token) {
        guard var entry = nameless[token] else { return }
        do throws(Errno) {
            // Not a byte more than the header: what follows is the container's.
            let bytes = try entry.stream.descriptor.read(upTo: StreamHeader.size - entry.header.count)
            if bytes.isEmpty { return drop(token) }
            entry.header += bytes
            nameless[token] = entry
        } catch .wouldBlock {
            return
        } catch {
            return drop(token)
        }
        guard entry.header.count == StreamHeader.size else { return }
        drop(token)
        guard let header = try? StreamHeader(decoding: entry.header) else {
            return GuestConsole.say("a stream without a header was turned away")
        }
        if claim(header.stream, entry.stream) { return }
        parked[header.stream] = entry.stream
        loop.after(milliseconds: Self.patience) { [self] in parked[header.stream] = nil }
    }
}

/// VMADDR_CID_HOST
let hostCID: UInt32 = 2

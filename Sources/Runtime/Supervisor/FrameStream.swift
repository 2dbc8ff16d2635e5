import AgentProtocol
import LinuxSys

/// Frames over a stream socket, in and out, without making the loop wait. What comes in is not trusted before it is checked.
final class FrameStream {
    private let loop: EventLoop
    private let stream: SharedDescriptor
    private let receive: (Frame) throws(WireError) -> Void
    private let lost: (String) -> Void
    private let peer: String
    private var token: EventLoop.Token?
    private var decoder = FrameDecoder()
    private var outgoing: [UInt8] = []

    /// - Parameters:
    ///   - peer: what errors call the other end: "the agent".
    ///   - lost: called once, when the stream has ended, or what came was no message; nothing follows.
    init(
        _ stream: SharedDescriptor, to peer: String, loop: EventLoop,
        receive: @escaping (Frame) throws(WireError) -> Void, lost: @escaping (String) -> Void
    ) throws(Errno) {
        self.loop = loop
        self.stream = stream
        self.peer = peer
        self.receive = receive
        self.lost = lost
        try stream.descriptor.setNonBlocking()
        token = try loop.watch(stream.raw, .readable) { [weak self] ready in self?.ready(ready) }
    }

    var isOpen: Bool { token != nil }

    func send(_ frame: Frame) {
        outgoing += frame.encoded
        flush()
    }

    func close() {
        if let token { loop.unwatch(token) }
        token = nil
    }

    /// Gives the stream up: what came made no sense.
    func lose(_ reason: String) {
        guard token != nil else { return }
        close()
        lost(reason)
    }

    private func flush() {
        var done = 0
        do throws(Errno) {
            while done < outgoing.count { done += try stream.descriptor.write(outgoing, from: done) }
        } catch .wouldBlock {} catch {
            // Reading tells of the end.
            done = outgoing.count
        }
        outgoing.removeFirst(done)
        if let token { try? loop.change(token, to: outgoing.isEmpty ? .readable : [.readable, .writable]) }
    }

    private func ready(_ ready: ReadyEvents) {
        if ready.contains(.writable) { flush() }
        guard ready != .writable else { return }
        do throws(Errno) {
            let bytes = try stream.descriptor.read(upTo: 65536)
            if bytes.isEmpty { return lose("\(peer) closed its connection") }
            decoder.append(bytes)
        } catch .wouldBlock {
            return
        } catch {
            return lose("the connection to \(peer) broke: \(error)")
        }
        do throws(WireError) {
            while token != nil, let frame = try decoder.next() { try receive(frame) }
        } catch {
            lose("\(peer) sent what is no message: \(error)")
        }
    }
}

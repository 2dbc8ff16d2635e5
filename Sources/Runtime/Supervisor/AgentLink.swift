import AgentProtocol
import LinuxSys

/// The control stream to the guest's agent. What comes out of it is a hostile guest's word until it is checked.
final class AgentLink {
    enum Event {
        case hello(Hello)
        case exited(ProcessExit)
        case outOfMemory(container: String, count: UInt64)
        case watching(WatchedFiles)
        /// The stream ended, or what came was no message; nothing follows.
        case lost(String)
    }

    typealias Answer = (Result<GuestMessage, RuntimeError>) -> Void

    private let loop: EventLoop
    private let stream: SharedDescriptor
    private let events: (Event) -> Void
    private var token: EventLoop.Token?
    private var decoder = FrameDecoder()
    private var outgoing: [UInt8] = []
    private var nextRequest: UInt32 = 1
    private var waiting: [UInt32: Answer] = [:]
    private var greeted = false

    init(loop: EventLoop, stream: consuming FileDescriptor, events: @escaping (Event) -> Void) throws(Errno) {
        self.loop = loop
        self.stream = SharedDescriptor(stream)
        self.events = events
        try self.stream.descriptor.setNonBlocking()
        token = try loop.watch(self.stream.raw, .readable) { [weak self] ready in self?.ready(ready) }
    }

    /// Sends a request; `answer` is called once, with what the agent said.
    func send(_ message: HostMessage, answer: @escaping Answer) {
        guard token != nil else { return answer(.failure(RuntimeError("the connection to the agent is gone"))) }
        let request = nextRequest
        nextRequest &+= 1
        waiting[request] = answer
        write(message.frame(request: request))
    }

    /// Sends what has no answer.
    func send(_ message: HostMessage) { write(message.frame(request: 0)) }

    func close() {
        if let token { loop.unwatch(token) }
        token = nil
        waiting = [:]
    }

    private func write(_ frame: Frame) {
        outgoing += frame.encoded
        flush()
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
            if bytes.isEmpty { return lose("the agent closed its connection") }
            decoder.append(bytes)
        } catch .wouldBlock {
            return
        } catch {
            return lose("the connection to the agent broke: \(error)")
        }
        do throws(WireError) {
            while token != nil, let frame = try decoder.next() { handle(try GuestMessage(frame), frame.request) }
        } catch {
            lose("the agent sent what is no message: \(error)")
        }
    }

    private func handle(_ message: GuestMessage, _ request: UInt32) {
        switch message {
        case .hello(let hello):
            guard !greeted else { return lose("the agent greeted twice") }
            greeted = true
            events(.hello(hello))
        case .exited(let exit): events(.exited(exit))
        case .outOfMemory(let container, let count): events(.outOfMemory(container: container, count: count))
        case .watching(let files): events(.watching(files))
        case .done, .created, .failed, .stepFailed, .processes, .contents:
            guard let answer = waiting.removeValue(forKey: request) else {
                return lose("the agent answered a request that was not made")
            }
            answer(.success(message))
        }
    }

    private func lose(_ reason: String) {
        guard token != nil else { return }
        let unanswered = waiting.values
        close()
        for answer in unanswered { answer(.failure(RuntimeError(reason))) }
        events(.lost(reason))
    }
}

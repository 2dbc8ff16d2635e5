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

    private var frames: FrameStream?
    private let events: (Event) -> Void
    private var nextRequest: UInt32 = 1
    private var waiting: [UInt32: Answer] = [:]
    private var greeted = false
    /// `uname -r` of the guest.
    private(set) var kernel = ""

    init(loop: EventLoop, stream: consuming FileDescriptor, events: @escaping (Event) -> Void) throws(Errno) {
        self.events = events
        frames = try FrameStream(
            SharedDescriptor(stream), to: "the agent", loop: loop,
            receive: { [weak self] frame throws(WireError) in self?.handle(try GuestMessage(frame), frame.request) },
            lost: { [weak self] in self?.lose($0) })
    }

    /// Sends a request; `answer` is called once, with what the agent said.
    func send(_ message: HostMessage, answer: @escaping Answer) {
        guard let frames, frames.isOpen else {
            return answer(.failure(RuntimeError("the connection to the agent is gone")))
        }
        let request = nextRequest
        nextRequest &+= 1
        waiting[request] = answer
        frames.send(message.frame(request: request))
    }

    /// Sends what has no answer.
    func send(_ message: HostMessage) { frames?.send(message.frame(request: 0)) }

    func close() {
        frames?.close()
        waiting = [:]
    }

    private func handle(_ message: GuestMessage, _ request: UInt32) {
        switch message {
        case .hello(let hello):
            guard !greeted else { return giveUp("the agent greeted twice") }
            greeted = true
            kernel = hello.kernel
            events(.hello(hello))
        case .exited(let exit): events(.exited(exit))
        case .outOfMemory(let container, let count): events(.outOfMemory(container: container, count: count))
        case .watching(let files): events(.watching(files))
        case .done, .created, .failed, .stepFailed, .processes, .contents:
            guard let answer = waiting.removeValue(forKey: request) else {
                return giveUp("the agent answered a request that was not made")
            }
            answer(.success(message))
        }
    }

    private func giveUp(_ reason: String) { frames?.lose(reason) }

    private func lose(_ reason: String) {
        let unanswered = waiting.values
        close()
        for answer in unanswered { answer(.failure(RuntimeError(reason))) }
        events(.lost(reason))
    }
}

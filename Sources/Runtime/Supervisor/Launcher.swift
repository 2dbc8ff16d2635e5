import LinuxSys

/// Whoever launched the supervisor, at the other end of the channel.
final class Launcher {
    enum Taken {
        case request(ControlRequest)
        case nothing
        case gone
    }

    let channel: ControlChannel
    let outgoing: OutgoingMessages
    /// Bytes that may wait beside which lines of the console are left out: it runs hooks meanwhile, or was stopped.
    private static let mostConsole = 64 << 10

    init(channel: ControlChannel) {
        self.channel = channel
        outgoing = OutgoingMessages(channel.socket)
    }

    func send(_ event: ControlEvent) {
        if case .console = event, outgoing.backlog > Self.mostConsole { return }
        outgoing.send(event.json.bytes())
    }

    func take() -> Taken {
        do {
            guard let value = try channel.receive() else { return .gone }
            return .request(try ControlRequest(decoding: value))
        } catch let error as Errno where error == .wouldBlock {
            return .nothing
        } catch {
            return .gone
        }
    }
}

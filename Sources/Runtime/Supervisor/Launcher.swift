import LinuxSys

/// Whoever launched the supervisor, at the other end of the channel.
final class Launcher {
    enum Taken {
        case request(ControlRequest)
        case nothing
        case gone
    }

    let channel: ControlChannel

    init(channel: ControlChannel) { self.channel = channel }

    func send(_ event: ControlEvent) { channel.send(event.json) }

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

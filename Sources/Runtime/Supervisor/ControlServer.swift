import Glibc
import LinuxSys
import VMDriver

/// The supervisor's socket for other commands (`start`, `kill`, `delete`): one request a connection.
final class ControlServer {
    typealias Handler = (ControlRequest, @escaping (ControlEvent) -> Void) -> Void

    static let name = "control.sock"
    /// Callers that wait at one time; more are turned away.
    static let mostCallers = 64

    private let loop: EventLoop
    private let directory: SandboxDirectory
    private let listener: SharedDescriptor
    private let handler: Handler
    private var token: EventLoop.Token?
    private var callers: [EventLoop.Token: ControlChannel] = [:]

    init(loop: EventLoop, directory: SandboxDirectory, handler: @escaping Handler) throws(Errno) {
        self.loop = loop
        self.directory = directory
        self.handler = handler
        listener = SharedDescriptor(
            try Sockets.listen(at: Self.name, in: directory.descriptor.descriptor, .packets))
        token = try loop.watch(listener.raw, .readable) { [weak self] _ in self?.accept() }
    }

    private func accept() {
        guard let caller = try? Sockets.accept(listener.descriptor), callers.count < Self.mostCallers else { return }
        let channel = ControlChannel(caller)
        var own: EventLoop.Token = 0
        guard
            let token = try? loop.watch(
                channel.socket.raw, .readable, { [weak self] _ in self?.take(own) })
        else { return }
        own = token
        callers[token] = channel
    }

    private func take(_ token: EventLoop.Token) {
        guard let channel = callers[token] else { return }
        do {
            guard let value = try channel.receive() else { return drop(token) }
            handler(try ControlRequest(decoding: value)) { channel.send($0.json) }
        } catch let error as Errno where error == .wouldBlock {
        } catch {
            drop(token)
        }
    }

    private func drop(_ token: EventLoop.Token) {
        loop.unwatch(token)
        callers[token] = nil
    }

    func close() {
        if let token { loop.unwatch(token) }
        token = nil
        unlinkat(directory.descriptor.raw, Self.name, 0)
    }
}

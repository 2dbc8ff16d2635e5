import AgentProtocol
import LinuxSys
import VMDriver
import VMMWire

/// Connects to a port of the guest through kvm-vmm's socket, without making the loop wait.
final class StreamDialer {
    private let loop: EventLoop
    private let directory: SandboxDirectory
    private var pending: [ObjectIdentifier: Dial] = [:]

    init(loop: EventLoop, directory: SandboxDirectory) {
        self.loop = loop
        self.directory = directory
    }

    private final class Dial {
        let socket: SharedDescriptor
        var reply: [UInt8] = []
        var token: EventLoop.Token?

        init(_ socket: SharedDescriptor) { self.socket = socket }
    }

    /// Opens the stdio stream `id` at the agent; `done` gets the connection.
    func open(stream id: UInt32, done: @escaping (Result<SharedDescriptor, RuntimeError>) -> Void) {
        do throws(Errno) {
            let socket = SharedDescriptor(
                try Sockets.connect(to: VsockSocketName.toGuest, in: directory.descriptor.descriptor))
            try socket.descriptor.writeAll(VsockConnectRequest(port: AgentPort.streams).bytes)
            try socket.descriptor.setNonBlocking()
            let dial = Dial(socket)
            let key = ObjectIdentifier(dial)
            dial.token = try loop.watch(socket.raw, .readable) { [weak self] _ in
                guard let self, let dial = pending[key], let result = progress(dial, stream: id) else { return }
                if let token = dial.token { loop.unwatch(token) }
                pending[key] = nil
                done(result)
            }
            pending[key] = dial
        } catch {
            done(.failure(RuntimeError("can't reach the guest: \(VsockSocketName.toGuest): \(error)")))
        }
    }

    /// nil while the answer isn't complete.
    private func progress(_ dial: Dial, stream id: UInt32) -> Result<SharedDescriptor, RuntimeError>? {
        do throws(Errno) {
            let bytes = try dial.socket.descriptor.read(upTo: VsockConnectReply.byteCount - dial.reply.count)
            if bytes.isEmpty {
                return .failure(RuntimeError("can't reach the guest's agent: kvm-vmm closed the connection"))
            }
            dial.reply += bytes
            guard dial.reply.count == VsockConnectReply.byteCount else { return nil }
            guard let reply = VsockConnectReply(dial.reply) else {
                return .failure(RuntimeError("can't reach the guest's agent: kvm-vmm gave no answer"))
            }
            guard reply == .connected else {
                return .failure(RuntimeError("can't reach the guest's agent: \(Errno(rawValue: reply.errno))"))
            }
            // Eight bytes into an empty socket: they fit.
            _ = try dial.socket.descriptor.write(StreamHeader(stream: id).encoded)
            return .success(dial.socket)
        } catch .wouldBlock {
            return nil
        } catch {
            return .failure(RuntimeError("can't reach the guest's agent: \(error)"))
        }
    }
}

import AgentProtocol
import Glibc
import LinuxSys
import OCISpec

/// Unix sockets of the host that are mounted in the container: the agent has one in the place of each, and tells of every
/// connection; here it is carried on to the real one.
extension Supervisor {
    /// Connections at one time.
    private static let mostConnections = 256

    /// Which binds are sockets, by their index in `mounts`, with their paths on the host.
    var boundSockets: [(mount: Int, source: String)] {
        spec.bindSources(bundle: request.bundle).filter { File.isSocket($0.source) }
    }

    /// A process of the container has connected to one of them.
    func carry(_ opened: SocketOpened) {
        guard opened.container == id.text else {
            _ = tellMember(opened.container, .socketOpened(opened))
            return
        }
        // A guest that opens more than its agent would gets no answer, and no descriptor of ours.
        guard carried.count < Self.mostConnections, carried[opened.stream] == nil else { return }
        let connection = CarriedConnection()
        carried[opened.stream] = connection
        let path = boundSockets.first { $0.mount == Int(opened.mount) }?.source
        // One that can't be reached is closed at the other end too: the stream comes, and goes at once.
        var local: SharedDescriptor?
        if let path { local = try? SharedDescriptor(Sockets.connectNow(to: path)) }
        let dialer = dialer ?? StreamDialer(loop: loop, directory: directory)
        self.dialer = dialer
        dialer.open(stream: opened.stream) { [weak self] result in
            guard let self else { return }
            do throws(Errno) {
                guard let local, case .success(let remote) = result else { throw .connectionRefused }
                try carry(connection, opened.stream, local, remote)
            } catch {
                carried[opened.stream] = nil
            }
        }
    }

    private func carry(
        _ connection: CarriedConnection, _ stream: UInt32, _ local: SharedDescriptor, _ remote: SharedDescriptor
    ) throws(Errno) {
        func relay(_ source: SharedDescriptor, _ sink: SharedDescriptor) throws(Errno) -> Relay {
            try Relay(
                loop: loop, from: Endpoint(own: source.descriptor.duplicate()),
                to: Endpoint(own: sink.descriptor.duplicate())
            ) { [weak self] end in
                if end == .finished { try? Sockets.shutdownWriting(sink.descriptor) }
                if end == .sinkGone { try? Sockets.shutdownBoth(source.descriptor) }
                connection.open -= 1
                if connection.open == 0 { self?.carried[stream] = nil }
            }
        }
        connection.relays = [try relay(local, remote), try relay(remote, local)]
    }
}

/// A connection between a process of a container and a socket of the host.
final class CarriedConnection {
    /// Directions that have not ended.
    var open = 2
    var relays: [Relay] = []
}

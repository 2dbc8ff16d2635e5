import Glibc
import JSON
import LinuxSys
import StateStore

/// A request to a running supervisor, over its control socket.
enum Ask {
    /// - Throws: what the supervisor answered, or that it could not be asked.
    static func supervisor(of id: ContainerID, in store: StateStore, _ request: ControlRequest) throws(RuntimeError) {
        do {
            let directory = try FileDescriptor.directory(store.directory(of: id))
            let channel = ControlChannel(
                try Sockets.connect(to: ControlServer.name, in: directory, .packets))
            channel.send(request.json)
            guard let value = try channel.receive() else {
                throw RuntimeError("container \(id): its supervisor ended before it answered")
            }
            if case .failed(let message, let code, let console) = try ControlEvent(decoding: value) {
                throw RuntimeError(message, exitCode: code, console: console)
            }
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("container \(id): its supervisor can't be reached: \(error)")
        }
    }
}

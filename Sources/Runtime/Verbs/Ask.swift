import Glibc
import JSON
import LinuxSys
import StateStore

/// A request to a running supervisor, over its control socket.
enum Ask {
    /// - Throws: what the supervisor answered, or that it could not be asked.
    /// - Returns: the values that came before the answer.
    @discardableResult
    static func supervisor(
        of id: ContainerID, in store: StateStore, _ request: ControlRequest
    ) throws(RuntimeError) -> [JSONValue] {
        do {
            let directory = try FileDescriptor.directory(store.directory(of: id))
            let channel = ControlChannel(
                try Sockets.connect(to: ControlServer.name, in: directory, .packets))
            channel.send(request.json)
            var values: [JSONValue] = []
            while let message = try channel.receive() {
                switch try ControlEvent(decoding: message) {
                case .failed(let message, let code, let console):
                    throw RuntimeError(message, exitCode: code, console: console)
                case .value(let value): values.append(value)
                default: return values
                }
            }
            throw RuntimeError("container \(id): its supervisor ended before it answered")
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("container \(id): its supervisor can't be reached: \(error)")
        }
    }
}

import LinuxSys
import VhostUser
import Virtio
import VirtioBlock

/// The thread of one disk, which may wait for its file.
final class BlockServer: DeviceServer, @unchecked Sendable {
    private let options: Arguments.Block
    private let polling: BusyPolling
    private let image: SharedDescriptor
    private let socket: SharedDescriptor

    init(_ options: Arguments.Block, _ polling: BusyPolling) throws(Main.Failure) {
        self.options = options
        self.polling = polling
        image = SharedDescriptor(FileDescriptor(owning: options.disk))
        socket = SharedDescriptor(FileDescriptor(owning: options.vhostUser))
        try Main.attempt("vhost-user socket") { () throws(Errno) in try socket.descriptor.setNonBlocking(false) }
    }

    func run(_ log: Log) throws(Main.Failure) {
        var backend = try Main.attempt("disk \(options.identity)") { () throws(Errno) in
            try Backend(
                BlockDevice(
                    image: image.descriptor.duplicate(), isReadOnly: options.readOnly, identity: options.identity),
                over: socket.descriptor.duplicate(), polling: polling
            ) { log.line($0) }
        }
        do throws(VhostUserError) { while try backend.turn() {} } catch { throw Main.Failure(text: error.description) }
    }
}

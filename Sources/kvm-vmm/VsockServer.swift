import LinuxSys
import VhostUser
import Virtio
import VirtioVsock

/// The vsock device's thread, which is the main one.
final class VsockServer: DeviceServer, @unchecked Sendable {
    /// How long those who read what a guest said last may take for it.
    private static let lastWordsMilliseconds: UInt32 = 1000
    /// After so long without anything to do the pages of code go: most guests have nothing to say most of the time,
    /// and a fault brings back what is used.
    private static let idleMilliseconds: Int32 = 1000

    private let options: Arguments.Vsock
    private let polling: BusyPolling
    private let directory: SharedDescriptor
    private let socket: SharedDescriptor

    init(_ options: Arguments.Vsock, _ polling: BusyPolling) throws(Main.Failure) {
        self.options = options
        self.polling = polling
        directory = SharedDescriptor(FileDescriptor(owning: options.directory))
        socket = SharedDescriptor(FileDescriptor(owning: options.vhostUser))
        try Main.attempt("vhost-user socket") { () throws(Errno) in try socket.descriptor.setNonBlocking(false) }
    }

    /// Serves until QEMU closes the socket.
    func run(_ log: Log) throws(Main.Failure) {
        var backend = try Main.attempt("vsock device") { () throws(Errno) in
            try Backend(
                VsockDevice(guestCID: options.cid, directory: directory.descriptor.duplicate()),
                over: socket.descriptor.duplicate(), polling: polling
            ) { log.line($0) }
        }
        do throws(VhostUserError) {
            var isWarm = true
            var before = Clock.monotonicNanoseconds()
            while try backend.turn(atMostMilliseconds: isWarm ? Self.idleMilliseconds : -1) {
                let now = Clock.monotonicNanoseconds()
                // A turn that took all the time it had brought nothing.
                let isIdle = isWarm && now - before >= UInt64(Self.idleMilliseconds) * 1_000_000
                if isIdle { ProcessControl.releaseCodePages() }
                isWarm = !isIdle
                before = now
            }
        } catch {
            throw Main.Failure(text: error.description)
        }
        backend.device.finish(withinMilliseconds: Self.lastWordsMilliseconds)
    }
}

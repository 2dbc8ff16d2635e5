import LinuxSys
import VhostUser
import VirtioVsock

/// The device process of a guest: serves its vsock device to QEMU. Ends with 0 when QEMU closes the socket, with 1 and
/// a line on stderr when something is wrong.
@main
enum Main {
    /// How long those who read what a guest said last may take for it.
    private static let lastWordsMilliseconds: UInt32 = 1000
    /// After so long without anything to do the pages of code go: most guests have nothing to say most of the time,
    /// and a fault brings back what is used.
    private static let idleMilliseconds: Int32 = 1000

    private struct Failure: Error {
        let text: String
    }

    static func main() {
        let arguments: Arguments
        do throws(Arguments.Problem) {
            arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
        } catch {
            end(error.text)
        }
        do throws(Failure) { try serve(arguments) } catch { end(error.text) }
    }

    private static func end(_ text: String) -> Never {
        Log(FileDescriptor(owning: 2)).line(text)
        ProcessControl.exit(1)
    }

    private static func serve(_ arguments: Arguments) throws(Failure) {
        var backend = try setUp(arguments)
        do throws(VhostUserError) {
            var isWarm = true
            var before = Clock.monotonicNanoseconds()
            while try backend.turn(atMostMilliseconds: isWarm ? idleMilliseconds : -1) {
                let now = Clock.monotonicNanoseconds()
                // A turn that took all the time it had brought nothing.
                let isIdle = isWarm && now - before >= UInt64(idleMilliseconds) * 1_000_000
                if isIdle { ProcessControl.releaseCodePages() }
                isWarm = !isIdle
                before = now
            }
        } catch {
            throw Failure(text: error.description)
        }
        backend.device.finish(withinMilliseconds: lastWordsMilliseconds)
    }

    private static func setUp(_ arguments: Arguments) throws(Failure) -> Backend<VsockDevice> {
        var step = "process settings"
        do throws(Errno) {
            try ProcessControl.dieWithParent()
            ProcessControl.ignoreBrokenPipes()
            try ProcessControl.allowDescriptors(VsockDevice.mostDescriptors)
            try ProcessControl.closeDescriptors(except: [arguments.vhostUser, arguments.directory, arguments.log])
            step = "directory"
            let device = try VsockDevice(
                guestCID: arguments.cid, directory: FileDescriptor(owning: arguments.directory))
            step = "vhost-user socket"
            let socket = FileDescriptor(owning: arguments.vhostUser)
            try socket.setNonBlocking(false)
            let log = Log(FileDescriptor(owning: arguments.log))
            let backend = try Backend(device, over: socket) { log.line($0) }
            step = "jail"
            try Jail.enter()
            return backend
        } catch {
            throw Failure(text: "\(step): \(error)")
        }
    }
}

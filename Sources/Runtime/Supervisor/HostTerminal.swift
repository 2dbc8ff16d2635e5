import Glibc
import LinuxSys

/// A pty on the host whose master a caller gets (`--console-socket`): the guest's pty is relayed to its slave, which is
/// raw, because the guest's has the line discipline.
final class HostTerminal {
    let slave: SharedDescriptor

    /// Makes the pty, makes it this process's controlling terminal (so that SIGWINCH tells of a new size), and sends the
    /// master over `consoleSocket` with the terminal's name as its message, as runc does.
    init(consoleSocket: borrowing FileDescriptor) throws(RuntimeError) {
        do throws(Errno) {
            let master = try FileDescriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
            let name = try Terminal.unlock(master)
            slave = SharedDescriptor(try FileDescriptor.open(name, O_RDWR | O_NOCTTY))
            _ = try Terminal.makeRaw(slave.descriptor)
            try Terminal.makeControlling(slave.descriptor)
            try Sockets.send(Array(name.utf8), descriptors: [master.raw], over: consoleSocket)
        } catch {
            throw RuntimeError("can't hand a terminal to the console socket: \(error)")
        }
    }
}

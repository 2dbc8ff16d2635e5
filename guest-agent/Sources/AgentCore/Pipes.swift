import CLinux
import LinuxSys

enum Pipe {
    /// A pipe; both ends are closed on exec.
    static func make() throws(Errno) -> (reader: SharedDescriptor, writer: SharedDescriptor) {
        var fds: [CInt] = [-1, -1]
        _ = try once { pipe(&fds) }
        let reader = SharedDescriptor(FileDescriptor(owning: fds[0]))
        let writer = SharedDescriptor(FileDescriptor(owning: fds[1]))
        // pipe2(2) is hidden from Swift; there is one thread, and so nobody who could exec in between.
        for fd in fds { _ = try once { clinux_fcntl(fd, F_SETFD, FD_CLOEXEC) } }
        return (reader, writer)
    }
}

/// A twentieth of a second.
func pauseBriefly() { usleep(50_000) }

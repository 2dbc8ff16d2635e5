import CLinux
import LinuxSys

/// A pipe; both ends are closed on exec.
struct Pipe: ~Copyable {
    let reader: FileDescriptor
    let writer: FileDescriptor

    init() throws(Errno) {
        var fds: [CInt] = [-1, -1]
        _ = try once { pipe(&fds) }
        reader = FileDescriptor(owning: fds[0])
        writer = FileDescriptor(owning: fds[1])
        // pipe2(2) is hidden from Swift; there is one thread, and so nobody who could exec in between.
        for fd in fds { _ = try once { clinux_fcntl(fd, F_SETFD, FD_CLOEXEC) } }
    }

    consuming func split() -> (reader: CInt, writer: CInt) { (reader.release(), writer.release()) }
}

/// A twentieth of a second.
func pauseBriefly() { usleep(50_000) }

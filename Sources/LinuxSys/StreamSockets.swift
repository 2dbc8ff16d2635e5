import CLinux

/// Calls on stream sockets that never wait and never raise SIGPIPE.
extension Sockets {
    /// Connects to the Unix stream socket `name` in `directory`; the result does not block.
    /// - Throws: `wouldBlock` when the listener's backlog is full, `noSuchFile`, `connectionRefused`.
    public static func connectAtOnce(
        to name: String, in directory: borrowing FileDescriptor
    ) throws(Errno) -> FileDescriptor {
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let socket = FileDescriptor(owning: try once { CLinux.socket(AF_UNIX, type, 0) })
        _ = try retrying { clinux_unix_connect(socket.raw, "/proc/self/fd/\(directory.raw)/\(name)") }
        return socket
    }

    /// Ends the reading half: what the peer writes from now on is EPIPE.
    public static func shutdownReading(_ socket: borrowing FileDescriptor) throws(Errno) {
        _ = try once { shutdown(socket.raw, CInt(SHUT_RD)) }
    }
}

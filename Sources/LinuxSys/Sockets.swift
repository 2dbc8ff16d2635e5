import CLinux

/// Unix and vsock sockets, all close-on-exec.
public enum Sockets {
    public enum Kind: Sendable {
        case stream
        /// Whole messages, in order (SOCK_SEQPACKET).
        case packets

        var number: CInt { CInt((self == .stream ? SOCK_STREAM : SOCK_SEQPACKET).rawValue) }
    }

    /// A connected pair.
    public struct Pair: ~Copyable {
        public let first: FileDescriptor
        public let second: FileDescriptor

        public consuming func split() -> (CInt, CInt) { (first.release(), second.release()) }
    }

    public static func pair(_ kind: Kind = .stream, nonBlocking: Bool = false) throws(Errno) -> Pair {
        let flags = CInt(SOCK_CLOEXEC.rawValue) | (nonBlocking ? CInt(SOCK_NONBLOCK.rawValue) : 0)
        var fds: [CInt] = [-1, -1]
        _ = try once { socketpair(AF_UNIX, kind.number | flags, 0, &fds) }
        return Pair(first: FileDescriptor(owning: fds[0]), second: FileDescriptor(owning: fds[1]))
    }

    /// A listening Unix stream socket at `name` in `directory`, reached by descriptor so that the length of the
    /// directory's own path doesn't matter (sun_path holds 108 bytes). Only its owner may connect. Non-blocking.
    public static func listen(
        at name: String, in directory: borrowing FileDescriptor, backlog: CInt = 64, _ kind: Kind = .stream
    ) throws(Errno) -> FileDescriptor {
        let socket = try unixSocket(nonBlocking: true, kind)
        // bind(2) gives the name the socket's own mode; umask(2) would be changed for every thread.
        _ = try once { fchmod(socket.raw, 0o600) }
        _ = try once { clinux_unix_bind(socket.raw, "/proc/self/fd/\(directory.raw)/\(name)") }
        _ = try once { CLinux.listen(socket.raw, backlog) }
        return socket
    }

    /// Connects to the Unix stream socket `name` in `directory`; the result blocks.
    public static func connect(
        to name: String, in directory: borrowing FileDescriptor, _ kind: Kind = .stream
    ) throws(Errno) -> FileDescriptor {
        try connect(to: "/proc/self/fd/\(directory.raw)/\(name)", kind)
    }

    /// Connects to the Unix stream socket at `path`; the result blocks.
    public static func connect(to path: String, _ kind: Kind = .stream) throws(Errno) -> FileDescriptor {
        let socket = try unixSocket(nonBlocking: false, kind)
        _ = try retrying { clinux_unix_connect(socket.raw, path) }
        return socket
    }

    /// The same, without waiting for a server that is slow to take connections.
    /// - Throws: `wouldBlock` when its backlog is full.
    public static func connectNow(to path: String) throws(Errno) -> FileDescriptor {
        let socket = try unixSocket(nonBlocking: true, .stream)
        _ = try retrying { clinux_unix_connect(socket.raw, path) }
        return socket
    }

    private static func unixSocket(nonBlocking: Bool, _ kind: Kind) throws(Errno) -> FileDescriptor {
        let type = kind.number | CInt(SOCK_CLOEXEC.rawValue)
        let flags = nonBlocking ? CInt(SOCK_NONBLOCK.rawValue) : 0
        return FileDescriptor(owning: try once { socket(AF_UNIX, type | flags, 0) })
    }

    /// The next connection, or nil when none waits; non-blocking.
    public static func accept(_ listener: borrowing FileDescriptor) throws(Errno) -> FileDescriptor? {
        do throws(Errno) {
            let flags = CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
            return FileDescriptor(owning: try retrying { clinux_accept(listener.raw, flags) })
        } catch {
            // A connection that was reset before it was accepted is no failure of the listener.
            if error == .wouldBlock || error.rawValue == ECONNABORTED { return nil }
            throw error
        }
    }

    /// Ends both halves: the peer reads the end, and its writing fails.
    public static func shutdownBoth(_ socket: borrowing FileDescriptor) throws(Errno) {
        _ = try once { shutdown(socket.raw, CInt(SHUT_RDWR)) }
    }

    /// What came in one message.
    public struct Received: ~Copyable {
        public let count: Int
        public private(set) var descriptors: [SharedDescriptor]
        /// More descriptors were sent than fit.
        public let truncated: Bool
    }

    /// Sends `bytes` as one message with descriptors (SCM_RIGHTS); returns how many bytes were taken.
    @discardableResult
    public static func send(_ bytes: [UInt8], descriptors: [CInt], over socket: borrowing FileDescriptor) throws(Errno)
        -> Int
    {
        try once { clinux_send_fds(socket.raw, bytes, bytes.count, descriptors, descriptors.count, 0) }
    }

    /// Receives one message of at most `buffer.count` bytes and at most `room` descriptors; count 0 is the end.
    public static func receive(
        into buffer: UnsafeMutableRawBufferPointer, room: Int, from socket: borrowing FileDescriptor
    ) throws(Errno) -> Received {
        var fds = [CInt](repeating: -1, count: room)
        var count = room
        var truncated: CInt = 0
        let got = try once {
            clinux_receive_fds(socket.raw, buffer.baseAddress, buffer.count, &fds, &count, &truncated, 0)
        }
        let descriptors = fds.prefix(count).map { SharedDescriptor(FileDescriptor(owning: $0)) }
        return Received(count: got, descriptors: descriptors, truncated: truncated != 0)
    }

    /// Receives one message of at most `count` bytes and `room` descriptors; no bytes are the end.
    /// - Throws: `messageTooLong` when more descriptors came.
    public static func receiveMessage(
        upTo count: Int, descriptors room: Int, from socket: borrowing FileDescriptor
    ) throws(Errno) -> ([UInt8], [SharedDescriptor]) {
        var buffer = [UInt8](repeating: 0, count: count)
        var descriptors: [SharedDescriptor] = []
        var got = 0
        var failure: Errno?
        buffer.withUnsafeMutableBytes { bytes in
            do throws(Errno) {
                let received = try receive(into: bytes, room: room, from: socket)
                got = received.count
                descriptors = received.descriptors
                if received.truncated { failure = .messageTooLong }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return (Array(buffer.prefix(got)), descriptors)
    }

    /// Ends the writing half: the peer reads the end of the file.
    public static func shutdownWriting(_ socket: borrowing FileDescriptor) throws(Errno) {
        _ = try once { shutdown(socket.raw, CInt(SHUT_WR)) }
    }

    /// Whether the socket `number` has a peer.
    public static func isConnected(_ number: CInt) -> Bool {
        var peer = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(number, $0, &length) == 0 }
        }
    }

    /// The process that connected a Unix socket (SO_PEERCRED).
    public static func peerProcess(_ socket: borrowing FileDescriptor) throws(Errno) -> pid_t {
        // struct ucred: pid, uid, gid.
        var credentials: [CInt] = [0, 0, 0]
        var length = socklen_t(12)
        _ = try once { getsockopt(socket.raw, SOL_SOCKET, SO_PEERCRED, &credentials, &length) }
        return credentials[0]
    }

    /// AF_VSOCK: listens on `port` of every cid; non-blocking.
    public static func vsockListen(port: UInt32, backlog: CInt = 64) throws(Errno) -> FileDescriptor {
        FileDescriptor(owning: try once { clinux_vsock_listen(port, backlog) })
    }

    /// AF_VSOCK: connects (blocking), then makes the socket non-blocking.
    public static func vsockConnect(cid: UInt32, port: UInt32) throws(Errno) -> FileDescriptor {
        FileDescriptor(owning: try once { clinux_vsock_connect(cid, port) })
    }

    /// The cid and port at the other end of a vsock connection.
    public static func vsockPeer(_ socket: borrowing FileDescriptor) throws(Errno) -> (cid: UInt32, port: UInt32) {
        var cid: UInt32 = 0
        var port: UInt32 = 0
        _ = try once { clinux_vsock_peer(socket.raw, &cid, &port) }
        return (cid, port)
    }
}

extension Sockets {
    /// Reads what is there (MSG_DONTWAIT), whatever the socket's own flags are.
    public static func receiveNow(upTo count: Int, from socket: borrowing FileDescriptor) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(Errno) {
                filled = try retrying { recv(socket.raw, buffer.baseAddress, count, CInt(MSG_DONTWAIT)) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes what fits (MSG_DONTWAIT), whatever the socket's own flags are.
    public static func sendNow(_ bytes: [UInt8], from offset: Int, over socket: borrowing FileDescriptor) throws(Errno)
        -> Int
    {
        var result = 0
        var failure: Errno?
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        bytes.withUnsafeBytes { buffer in
            let part = UnsafeRawBufferPointer(rebasing: buffer.dropFirst(offset))
            do throws(Errno) {
                result = try retrying { CLinux.send(socket.raw, part.baseAddress, part.count, flags) }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return result
    }
}

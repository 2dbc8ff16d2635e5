import Glibc
import LinuxSys

/// One end of a relay: a descriptor that is read or written without ever blocking the loop.
///
/// The caller's own stdio is shared with the caller, so its O_NONBLOCK flag is not ours to set: it is opened anew
/// through /proc, which gives a pipe or a terminal a file description of its own. What can't be opened anew is used
/// with care: sockets with MSG_DONTWAIT, the rest in pieces that a ready pipe takes at once.
final class Endpoint {
    private enum Manner {
        case nonBlocking
        case socket
        /// A pipe that is ready for writing takes PIPE_BUF bytes; regular files and devices never make one wait long.
        case careful
    }

    private static let carefulPiece = 4096

    private let descriptor: SharedDescriptor
    private let manner: Manner
    /// A fifo that was opened anew when its writers had gone already tells nobody that it is at its end: it has to be read.
    let mayHideItsEnd: Bool
    var raw: CInt { descriptor.raw }

    /// A descriptor of our own; it becomes non-blocking.
    init(own descriptor: consuming FileDescriptor) throws(Errno) {
        try descriptor.setNonBlocking()
        self.descriptor = SharedDescriptor(descriptor)
        manner = .nonBlocking
        mayHideItsEnd = false
    }

    private init(_ descriptor: consuming FileDescriptor, _ manner: Manner, mayHideItsEnd: Bool = false) {
        self.descriptor = SharedDescriptor(descriptor)
        self.manner = manner
        self.mayHideItsEnd = mayHideItsEnd
    }

    /// The caller's descriptor `number`, for reading or for writing.
    static func inherited(_ number: CInt, writing: Bool) throws(Errno) -> Endpoint {
        var status = stat()
        _ = try once { fstat(number, &status) }
        switch status.st_mode & mode_t(S_IFMT) {
        case mode_t(S_IFSOCK): return Endpoint(try FileDescriptor.duplicate(of: number), .socket)
        case mode_t(S_IFIFO), mode_t(S_IFCHR):
            let flags = (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY
            if let anew = try? FileDescriptor.open("/proc/self/fd/\(number)", flags) {
                let hides = !writing && status.st_mode & mode_t(S_IFMT) == mode_t(S_IFIFO)
                return Endpoint(anew, .nonBlocking, mayHideItsEnd: hides)
            }
            return Endpoint(try FileDescriptor.duplicate(of: number), .careful)
        default: return Endpoint(try FileDescriptor.duplicate(of: number), .careful)
        }
    }

    func read(upTo count: Int) throws(Errno) -> [UInt8] {
        try manner == .socket
            ? Sockets.receiveNow(upTo: count, from: descriptor.descriptor) : descriptor.descriptor.read(upTo: count)
    }

    func write(_ bytes: [UInt8], from offset: Int) throws(Errno) -> Int {
        switch manner {
        case .nonBlocking: return try descriptor.descriptor.write(bytes, from: offset)
        case .socket: return try Sockets.sendNow(bytes, from: offset, over: descriptor.descriptor)
        case .careful:
            var waiting = pollfd(fd: raw, events: Int16(POLLOUT), revents: 0)
            guard poll(&waiting, 1, 0) == 1 else { throw .wouldBlock }
            let end = min(bytes.count, offset + Self.carefulPiece)
            return try descriptor.descriptor.write(Array(bytes[offset..<end]))
        }
    }
}

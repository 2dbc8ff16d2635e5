import LinuxSys

/// What a process of the machine writes to stdout and stderr: for the line that says why it ended. Each process has
/// its own, because the end of one makes the others complain.
final class Complaints {
    private static let kept = 8192

    private let reader: FileDescriptor
    private let writer: FileDescriptor
    private var seen: [UInt8] = []

    init() throws(Errno) {
        let pipe = try Pipes.make()
        reader = try pipe.reader.duplicate()
        writer = try pipe.writer.duplicate()
        try reader.setNonBlocking()
        // A process that complains without end must not block on us: what doesn't fit is lost.
        try writer.setNonBlocking()
    }

    /// Where the process writes.
    var descriptor: CInt { writer.raw }

    /// The last of it.
    var last: String {
        while let bytes = try? reader.read(upTo: 65536), !bytes.isEmpty { seen += bytes }
        if seen.count > Self.kept { seen.removeFirst(seen.count - Self.kept) }
        return String(decoding: seen, as: UTF8.self)
    }
}

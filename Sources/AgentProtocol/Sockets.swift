/// A Unix socket of the host that a container has in the place of one of its mounts.
public struct SocketBind: Equatable, Sendable {
    /// Its index in `mounts`.
    public var mount: UInt32
    /// Permissions, as chmod(2) takes them.
    public var mode: UInt32
    public var uid: UInt32
    public var gid: UInt32

    public init(mount: UInt32, mode: UInt32, uid: UInt32, gid: UInt32) {
        self.mount = mount
        self.mode = mode
        self.uid = uid
        self.gid = gid
    }

    func write(to writer: inout WireWriter) {
        for value in [mount, mode, uid, gid] { writer.put(value) }
    }

    init(from reader: inout WireReader) throws(WireError) {
        mount = try reader.integer()
        mode = try reader.integer()
        uid = try reader.integer()
        gid = try reader.integer()
    }
}

/// Somebody has connected to a socket of the host's: the host opens the stream, and closes it if the socket can't be reached.
public struct SocketOpened: Equatable, Sendable {
    public var container: String
    /// The socket's index in `mounts`.
    public var mount: UInt32
    /// Of the guest's choice, `first` or above: processes have those below.
    public var stream: UInt32

    public static let first: UInt32 = 1 << 31

    public init(container: String, mount: UInt32, stream: UInt32) {
        self.container = container
        self.mount = mount
        self.stream = stream
    }

    func write(to writer: inout WireWriter) {
        writer.put(container)
        writer.put(mount)
        writer.put(stream)
    }

    init(from reader: inout WireReader) throws(WireError) {
        container = try reader.container()
        mount = try reader.integer()
        stream = try reader.integer()
        guard stream >= Self.first else { throw .badValue(field: "stream") }
    }
}

import AgentProtocol
import Glibc
import JSON
import LinuxSys
import VMDriver

/// What a descriptor of the caller is that a process is to have (`--preserve-fds`): as much of it as a guest can have.
enum HostDescriptor: Equatable, Sendable {
    case reader
    case writer
    case socket
    case listener
    case file(File)
    case device(PassedDescriptor.Device)

    struct File: Equatable, Sendable {
        /// An absolute path on the host, and what was found there.
        var path: String
        var identity = FileIdentity(device: 0, inode: 0)
        /// Of open(2), those of `PassedDescriptor.fileFlags`.
        var flags: UInt32
        /// Bytes from its beginning.
        var offset: UInt64
    }

    /// What `count` descriptors from `first` on are; the caller knows them as those from 3 on.
    /// - Throws: names the one that can't be handed into a guest.
    static func all(_ count: Int, from first: CInt) throws(RuntimeError) -> [HostDescriptor] {
        try checkCount(count)
        var all: [HostDescriptor] = []
        for index in 0..<count { all.append(try kind(of: first + CInt(index), called: 3 + index)) }
        return all
    }

    /// Of `--preserve-fds`, or with those of LISTEN_FDS.
    static func checkCount(_ count: Int) throws(RuntimeError) {
        guard (0...PassedDescriptor.most).contains(count) else {
            throw RuntimeError("--preserve-fds: \(count) is out of range (0 to \(PassedDescriptor.most))")
        }
    }

    private static func kind(of number: CInt, called name: Int) throws(RuntimeError) -> HostDescriptor {
        func refusal(_ reason: String) -> RuntimeError {
            RuntimeError("--preserve-fds: descriptor \(name) can't be handed into a guest: \(reason)")
        }
        var status = stat()
        guard fstat(number, &status) == 0 else {
            throw RuntimeError("--preserve-fds: descriptor \(name): \(Errno.current)")
        }
        let flags = fcntl(number, F_GETFL)
        guard flags >= 0 else { throw RuntimeError("--preserve-fds: descriptor \(name): \(Errno.current)") }
        guard flags & FileDescriptor.pathOnly == 0 else { throw refusal("it is a place only (O_PATH)") }
        switch status.st_mode & mode_t(S_IFMT) {
        case mode_t(S_IFIFO):
            switch flags & O_ACCMODE {
            case O_RDONLY: return .reader
            case O_WRONLY: return .writer
            default: throw refusal("it is a fifo that is open for reading and writing at once")
            }
        case mode_t(S_IFSOCK): return try socket(number, refusal)
        case mode_t(S_IFREG), mode_t(S_IFDIR): return .file(try file(number, status, flags, refusal))
        case mode_t(S_IFCHR):
            guard let device = PassedDescriptor.Device(status) else {
                throw refusal(isatty(number) == 1 ? "it is a terminal" : "it is a device of the host")
            }
            return .device(device)
        default: throw refusal("it is neither file, pipe nor socket")
        }
    }

    private static func socket(
        _ number: CInt, _ refusal: (String) -> RuntimeError
    ) throws(RuntimeError) -> HostDescriptor {
        func option(_ name: CInt) -> CInt {
            var value: CInt = -1
            var length = socklen_t(MemoryLayout<CInt>.size)
            return getsockopt(number, SOL_SOCKET, name, &value, &length) == 0 ? value : -1
        }
        guard option(SO_TYPE) == CInt(SOCK_STREAM.rawValue) else { throw refusal("it is no stream socket") }
        if option(SO_ACCEPTCONN) == 1 { return .listener }
        guard Sockets.isConnected(number) else {
            throw refusal("it is a socket that neither listens nor is connected")
        }
        return .socket
    }

    private static func file(
        _ number: CInt, _ status: stat, _ flags: CInt, _ refusal: (String) -> RuntimeError
    ) throws(RuntimeError) -> File {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/fd/\(number)", &buffer, buffer.count - 1)
        let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // A guest gets a file by its place, and would get another one there.
        guard path.hasPrefix("/"), (try? FileIdentity(of: path)) == FileIdentity(status)
        else { throw refusal("it is a file without a name (\(path))") }
        let offset = lseek(number, 0, SEEK_CUR)
        return File(
            path: path, identity: FileIdentity(status),
            flags: UInt32(bitPattern: flags) & PassedDescriptor.fileFlags, offset: UInt64(max(0, offset)))
    }

    /// The tree that the guest needs for it.
    func tree(_ name: String, cache: VMPlan.FileCache) -> VMPlan.SharedTree? {
        guard case .file(let file) = self else { return nil }
        var tree = VMPlan.SharedTree(
            source: file.path, name: name, readOnly: CInt(bitPattern: file.flags) & O_ACCMODE == O_RDONLY,
            recursive: false, cache: cache)
        tree.identity = file.identity
        return tree
    }

    /// What the guest is told of it.
    func passed(stream: UInt32, tree: String) -> PassedDescriptor {
        switch self {
        case .reader: .reader(stream: stream)
        case .writer: .writer(stream: stream)
        case .socket: .socket(stream: stream)
        case .listener: .listener(stream: stream)
        case .file(let file): .file(name: tree, flags: file.flags, offset: file.offset)
        case .device(let device): .device(device)
        }
    }
}

extension [HostDescriptor] {
    /// The names of the trees that the guest has for a process's descriptors begin with `prefix`.
    func trees(_ prefix: String, cache: VMPlan.FileCache) -> [VMPlan.SharedTree] {
        enumerated().compactMap { $1.tree("\(prefix)\($0)", cache: cache) }
    }

    func passed(_ streams: StdioStreams, _ prefix: String) -> [PassedDescriptor] {
        enumerated().map { $1.passed(stream: streams.passed($0), tree: "\(prefix)\($0)") }
    }
}

/// Sockets that a caller has for whom it starts, as systemd does (sd_listen_fds(3)): descriptors from 3 on, before those of
/// `--preserve-fds`.
public enum ListenDescriptors {
    /// How many there are: LISTEN_FDS, if LISTEN_PID says that they are ours.
    public static var count: Int {
        guard let pid = getenv("LISTEN_PID"), let count = getenv("LISTEN_FDS"),
            pid_t(String(cString: pid)) == getpid(), let number = Int(String(cString: count)), number > 0
        else { return 0 }
        // More than that are refused, whatever their number.
        return min(number, PassedDescriptor.most + 1)
    }
}

/// For the command line.
public enum HandedDescriptors {
    /// How many there are; `asked` is `--preserve-fds`, which comes behind `listening` sockets.
    public static func total(listening: Int = 0, asked: Int) -> Int {
        // What is out of range is told by another.
        listening + max(0, min(asked, PassedDescriptor.most))
    }

    /// The first of `count` descriptors from 3 on that the caller does not have open. To be asked before anything else is
    /// opened.
    public static func firstClosed(of count: Int) -> CInt? {
        (0..<CInt(clamping: max(0, min(count, PassedDescriptor.most)))).map { 3 + $0 }.first { fcntl($0, F_GETFD) < 0 }
    }

    /// In runc's words.
    public static func notOpen(_ descriptor: CInt, of count: Int, exitCode: Int32) -> RuntimeError {
        RuntimeError(
            "unable to stat preserved-fd \(descriptor - 3) (of \(count)): descriptor \(descriptor) is not open",
            exitCode: exitCode)
    }
}

extension HostDescriptor {
    var json: JSONValue {
        switch self {
        case .reader: "reader"
        case .writer: "writer"
        case .socket: "socket"
        case .listener: "listener"
        case .device(let device): ["special": JSONValue(device.rawValue)]
        case .file(let file):
            [
                "file": .string(file.path), "device": JSONValue(file.identity.device),
                "inode": JSONValue(file.identity.inode), "flags": JSONValue(file.flags),
                "offset": JSONValue(file.offset),
            ]
        }
    }

    init(decoding cursor: JSONCursor) throws(JSONFieldError) {
        if let word = try? cursor.string() {
            switch word {
            case "reader": self = .reader
            case "writer": self = .writer
            case "socket": self = .socket
            case "listener": self = .listener
            default: throw cursor.error("unknown descriptor \(word)")
            }
            return
        }
        let fields = try cursor.object()
        if fields["special"].value != nil {
            guard let device = PassedDescriptor.Device(rawValue: try fields["special"].int()) else {
                throw fields["special"].error("unknown device")
            }
            self = .device(device)
            return
        }
        self = .file(
            File(
                path: try fields["file"].string(),
                identity: FileIdentity(device: try fields["device"].int(), inode: try fields["inode"].int()),
                flags: try fields["flags"].int(),
                offset: try fields["offset"].int()))
    }
}

import CSpawn
import Glibc
import LinuxSys

/// The process that stands for a container's init on the host: its pid is the container's, it hands on the signals that it
/// is sent, and its exit code is the container's.
///
/// It is the first process of a pid namespace, and has the rootfs for its root: whoever enters the namespaces of "the
/// container's pid", as clients do, finds the container's files and never the host's.
public struct StandInProcess: Sendable {
    /// What it mounts in its own namespace.
    public struct Tree: Equatable, Sendable {
        /// nil: an empty directory that nobody can write to.
        public var source: String?
        /// A path in the rootfs.
        public var target: String
        public var recursive: Bool
        public var readOnly: Bool

        public init(source: String?, target: String, recursive: Bool = false, readOnly: Bool = false) {
            self.source = source
            self.target = target
            self.recursive = recursive
            self.readOnly = readOnly
        }
    }

    public var rootfs: String
    public var trees: [Tree] = []
    public var newNetwork = false
    /// Its maps are for the supervisor to write, when it is in its place.
    public var newUser = false
    public var newCgroup = false
    public var newTime = false
    /// As /proc/PID/timens_offsets takes them.
    public var timeOffsets = ""
    /// Files of namespaces of others that it is to be in: `/proc/PID/ns/net`.
    public var joins: [Join] = []

    /// A namespace of another process.
    public struct Join: Equatable, Sendable {
        public var path: String
        /// CLONE_NEW…
        public var kind: UInt64

        public init(path: String, kind: UInt64) {
            self.path = path
            self.kind = kind
        }
    }

    public var hostname = ""
    /// What ps shows in the place of the caller's arguments.
    public var title: [String] = []

    public init(rootfs: String) { self.rootfs = rootfs }

    /// Makes it; its supervisor has the other end of `channel`. The caller has to reap it, or to leave it to others.
    public func start(channel: borrowing FileDescriptor) throws(Errno) -> pid_t {
        let strings = CStrings()
        let trees = trees.map { tree in
            cspawn_tree(
                source: tree.source.map { UnsafePointer(strings.add($0)) },
                target: strings.add(tree.target), recursive: tree.recursive ? 1 : 0, read_only: tree.readOnly ? 1 : 0)
        }
        let words = Array(title.joined(separator: "\0").utf8) + [0]
        let (memory, room) = Self.argumentMemory
        var pid: pid_t = -1
        var failure = Errno.invalidArgument
        var files: [SharedDescriptor] = []
        var user: SharedDescriptor?
        for join in joins {
            let file = SharedDescriptor(try FileDescriptor.open(join.path, O_RDONLY))
            // It takes away the right to all others, and to its place.
            if join.kind == UInt64(CSPAWN_NEW_USER) { user = file } else { files.append(file) }
        }
        let numbers = files.map(\.raw)
        trees.withUnsafeBufferPointer { trees in
            words.withUnsafeBytes { words in
                numbers.withUnsafeBufferPointer { numbers in
                    var request = cspawn_stand_in()
                    request.rootfs = UnsafePointer(strings.add(rootfs))
                    request.trees = trees.baseAddress
                    request.tree_count = trees.count
                    request.new_network = newNetwork ? 1 : 0
                    request.new_user = newUser ? 1 : 0
                    request.new_cgroup = newCgroup ? 1 : 0
                    request.new_time = newTime ? 1 : 0
                    request.time_offsets = UnsafePointer(strings.add(timeOffsets))
                    request.join_user = user?.raw ?? -1
                    request.joins = numbers.baseAddress
                    request.join_count = numbers.count
                    request.joined = UInt(joins.reduce(0) { $0 | $1.kind })
                    request.hostname = UnsafePointer(strings.add(hostname))
                    request.channel = channel.raw
                    request.title = memory
                    request.title_room = room
                    request.title_text = words.bindMemory(to: CChar.self).baseAddress
                    request.title_length = words.count
                    pid = cspawn_stand_in(&request)
                    failure = Errno.current
                }
            }
        }
        guard pid > 0 else { throw failure }
        return pid
    }

    /// The memory of this process's arguments, which /proc shows as its command line.
    private static var argumentMemory: (UnsafeMutablePointer<CChar>?, Int) {
        let arguments = CommandLine.unsafeArgv
        guard CommandLine.argc > 0, let first = arguments[0] else { return (nil, 0) }
        var end = first
        for index in 0..<Int(CommandLine.argc) {
            // One behind the other, as the kernel lays them out; whatever follows is not theirs.
            guard let argument = arguments[index], argument == end else { break }
            while end.pointee != 0 { end += 1 }
            end += 1
        }
        return (first, end - first)
    }
}

/// A stand-in's other end.
public enum StandInMessage: Equatable, Sendable {
    case signal(CInt)
    /// It is in the container's place.
    case ready
    case failed(step: String, Errno)

    public init?(_ bytes: [UInt8]) {
        guard let kind = bytes.first.map({ Int($0) }) else { return nil }
        switch kind {
        case CSPAWN_IN_SIGNAL where bytes.count == 2: self = .signal(CInt(bytes[1]))
        case CSPAWN_IN_READY: self = .ready
        case CSPAWN_IN_FAILED where bytes.count == 6:
            let code = bytes[2...].reversed().reduce(0) { $0 << 8 | CInt($1) }
            self = .failed(step: Self.words(Int(bytes[1])), Errno(rawValue: code))
        default: return nil
        }
    }

    private static func words(_ step: Int) -> String {
        switch step {
        case CSPAWN_PLACE_ROOT: "mounting the rootfs for it"
        case CSPAWN_PLACE_PIVOT: "pivot_root"
        case CSPAWN_PLACE_TREE: "mounting the volumes for it"
        case CSPAWN_PLACE_PROC: "mounting a /proc for it"
        case CSPAWN_PLACE_NAMESPACES: "taking its user, cgroup and time namespaces"
        default: "dropping its capabilities"
        }
    }

    /// To it: go to the container's place.
    public static let enter: [UInt8] = [UInt8(CSPAWN_IN_ENTER)]
    /// To it: end with this code.
    public static func exit(_ code: Int32) -> [UInt8] { [UInt8(CSPAWN_IN_EXIT), UInt8(truncatingIfNeeded: code)] }
}

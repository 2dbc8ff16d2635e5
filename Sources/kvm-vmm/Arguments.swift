/// The command line: the devices, each with its options.
struct Arguments {
    static let usage = """
        usage: kvm-vmm [--log-fd N] [--poll-microseconds N] DEVICE...
        devices: vsock --vhost-user-fd N --directory-fd N --cid N
                 fs --vhost-user-fd N --trees-fd N --tag NAME [--trees N] [--guest-memory-mib N]
                    [--locks guest|host] [--gather-writes]
                 blk --vhost-user-fd N --disk-fd N --identity NAME [--read-only]    (any number of them)
        """

    struct Vsock {
        /// A connected Unix socket whose other end QEMU has.
        var vhostUser: Int32
        /// Where the Unix sockets are.
        var directory: Int32
        var cid: UInt64
    }

    struct FileSystem {
        /// A connected Unix socket whose other end QEMU has.
        var vhostUser: Int32
        /// Over which trees come and go (`TreeMessage`).
        var trees: Int32
        var tag: String
        /// So many trees are waited for before the guest is served.
        var firstTrees: Int
        /// The more memory a guest has, the more inodes it can know.
        var guestMemoryMiB: Int
        /// Locks on files are taken on the host.
        var sharesLocks: Bool
        /// No tree that is not cached for good will ever be shared.
        var gathersWrites: Bool
    }

    struct Block {
        /// A connected Unix socket whose other end QEMU has.
        var vhostUser: Int32
        /// The image, open for reading and, unless it is read-only, for writing.
        var disk: Int32
        /// What the guest knows the disk by.
        var identity: String
        var readOnly: Bool
    }

    struct Problem: Error {
        let text: String
    }

    var vsock: Vsock?
    var fileSystem: FileSystem?
    var disks: [Block] = []
    /// Where to write what is worth telling; stderr without it.
    var log: Int32 = 2
    /// How long queues are looked at before a device sleeps.
    var pollMicroseconds = 0

    /// Every descriptor that was named.
    var descriptors: [Int32] {
        [log] + (vsock.map { [$0.vhostUser, $0.directory] } ?? [])
            + (fileSystem.map { [$0.vhostUser, $0.trees] } ?? []) + disks.flatMap { [$0.vhostUser, $0.disk] }
    }

    init(_ arguments: [String]) throws(Problem) {
        var rest = arguments[...]
        let common = try Self.options(&rest, known: ["--log-fd", "--poll-microseconds"])
        if let number = try Self.descriptor(common, "--log-fd") { log = number }
        if let number = try Self.number(common, "--poll-microseconds") { pollMicroseconds = number }
        while let device = rest.popFirst() {
            switch device {
            case "vsock" where vsock == nil:
                let options = try Self.options(&rest, known: ["--vhost-user-fd", "--directory-fd", "--cid"])
                vsock = Vsock(
                    vhostUser: try Self.required(Self.descriptor(options, "--vhost-user-fd")),
                    directory: try Self.required(Self.descriptor(options, "--directory-fd")),
                    cid: UInt64(try Self.required(Self.number(options, "--cid"))))
            case "fs" where fileSystem == nil:
                let options = try Self.options(
                    &rest,
                    known: ["--vhost-user-fd", "--trees-fd", "--tag", "--trees", "--guest-memory-mib", "--locks"],
                    flags: ["--gather-writes"])
                let locks = options["--locks"] ?? "guest"
                guard ["guest", "host"].contains(locks) else { throw Problem(text: "--locks is guest or host") }
                fileSystem = FileSystem(
                    vhostUser: try Self.required(Self.descriptor(options, "--vhost-user-fd")),
                    trees: try Self.required(Self.descriptor(options, "--trees-fd")),
                    tag: try Self.required(options["--tag"]),
                    firstTrees: try Self.number(options, "--trees") ?? 0,
                    guestMemoryMiB: try Self.number(options, "--guest-memory-mib") ?? 0, sharesLocks: locks == "host",
                    gathersWrites: options["--gather-writes"] != nil)
            case "blk":
                let options = try Self.options(
                    &rest, known: ["--vhost-user-fd", "--disk-fd", "--identity"], flags: ["--read-only"])
                disks.append(
                    Block(
                        vhostUser: try Self.required(Self.descriptor(options, "--vhost-user-fd")),
                        disk: try Self.required(Self.descriptor(options, "--disk-fd")),
                        identity: try Self.required(options["--identity"]), readOnly: options["--read-only"] != nil))
            default: throw Problem(text: "unexpected \(device)\n\(Self.usage)")
            }
        }
        if vsock == nil, fileSystem == nil, disks.isEmpty { throw Problem(text: Self.usage) }
    }

    /// Takes options and their values off the front; `flags` have none.
    private static func options(
        _ rest: inout ArraySlice<String>, known: Set<String>, flags: Set<String> = []
    ) throws(Problem) -> [String: String] {
        var options: [String: String] = [:]
        while let name = rest.first, name.hasPrefix("--") {
            guard known.contains(name) || flags.contains(name) else {
                throw Problem(text: "unknown option \(name)\n\(usage)")
            }
            rest.removeFirst()
            guard let value = flags.contains(name) ? "" : rest.popFirst() else {
                throw Problem(text: "\(name) needs a value")
            }
            guard options.updateValue(value, forKey: name) == nil else {
                throw Problem(text: "\(name) is given twice")
            }
        }
        return options
    }

    private static func number(_ options: [String: String], _ name: String) throws(Problem) -> Int? {
        guard let text = options[name] else { return nil }
        guard let number = Int(text), (0...Int(Int32.max)).contains(number) else {
            throw Problem(text: "\(name) needs a number")
        }
        return number
    }

    private static func descriptor(_ options: [String: String], _ name: String) throws(Problem) -> Int32? {
        try number(options, name).map { Int32($0) }
    }

    private static func required<T>(_ value: T?) throws(Problem) -> T {
        guard let value else { throw Problem(text: usage) }
        return value
    }
}

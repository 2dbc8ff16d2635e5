import AgentProtocol
import LinuxSys

/// Another container in this supervisor's guest, and the supervisor that it has: whatever that one says to the agent goes
/// through here.
final class SandboxMember {
    /// How many a guest can have beside its first.
    static let most: UInt32 = 511
    /// Processes of a container have numbers, and so their streams: this many, and the next container's begin.
    static let processes: UInt32 = 1 << 16

    /// 1 and up.
    let number: UInt32
    let container: String
    /// Its own on the host.
    let cgroup: HostCgroup
    /// By their names in the guest's share.
    var trees: [String] = []
    private var frames: FrameStream?

    init(
        number: UInt32, container: String, cgroup: HostCgroup, stream: SharedDescriptor, loop: EventLoop,
        receive: @escaping (HostMessage, UInt32) -> Void
    ) throws(Errno) {
        self.number = number
        self.container = container
        self.cgroup = cgroup
        frames = try FrameStream(
            stream, to: "the supervisor of \(container)", loop: loop,
            receive: { frame throws(WireError) in receive(try HostMessage(frame), frame.request) },
            // Its control connection ends too, which is what counts.
            lost: { _ in })
    }

    /// What its trees' names begin with.
    var treePrefix: String { Self.treePrefix(number) }

    static func treePrefix(_ number: UInt32) -> String { number == 0 ? "" : "\(number)." }

    func send(_ message: GuestMessage, request: UInt32 = 0) { frames?.send(message.frame(request: request)) }

    func close() { frames?.close() }
}

extension HostMessage {
    /// The container that a request is about; nil: it is about the guest, or several.
    var container: String? {
        switch self {
        case .create(let create): create.container
        case .start(let container), .freeze(let container, _), .update(let container, _),
            .listProcesses(let container), .readCgroup(let container, _):
            container
        case .exec(let exec): exec.process.container
        case .signal(let signal): signal.process.container
        case .resize(let size): size.process.container
        case .welcome, .enterRoot, .setClock, .fileChanged, .shutdown: nil
        }
    }
}

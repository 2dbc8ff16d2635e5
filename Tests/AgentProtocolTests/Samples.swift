import AgentProtocol

/// Messages of every kind and form.
enum Samples {
    static let create = CreateContainer(
        container: "web-1", plan: [1, 0, 255], shareTag: "kvmfs", cgroup: ["user", "web-1"],
        settings: [CgroupSetting("pids.max", "9"), CgroupSetting("memory.swap.max", "0", isOptional: true)],
        deviceFilter: [0x95, 0, 0, 0, 0, 0, 0, 0], watched: ["binds/0", "bïnds/1"],
        sockets: [SocketBind(mount: 4, mode: 0o660, uid: 1, gid: .max)],
        joins: [NamespaceJoin(container: "web-0", namespaces: 0x4000_0000)],
        disks: [
            GuestDisk(name: "root", type: "erofs", readOnly: true, overlay: true),
            GuestDisk(name: "disk-a", type: "ext4", readOnly: false, overlay: false),
        ],
        stdio: .pipes(stdin: 0, stdout: 1, stderr: nil))

    static let host: [HostMessage] = [
        .welcome(Welcome(realtime: 1_700_000_000_123_456_789, seed: Array(0..<64))),
        .welcome(Welcome(version: .max, realtime: .max, seed: [])),
        .enterRoot(GuestDisk(name: "guest", type: "squashfs", readOnly: true, overlay: true)),
        .enterRoot(GuestDisk(name: "é", type: "", readOnly: false, overlay: false)), .create(create),
        .create(
            CreateContainer(
                container: "t", plan: [], shareTag: "", cgroup: [],
                stdio: .terminal(stream: 3, rows: 24, columns: .max))),
        .create(
            CreateContainer(
                container: "", plan: [0, 255], shareTag: "x", cgroup: [""],
                stdio: .pipes(stdin: nil, stdout: nil, stderr: .max))),
        .start(container: "web-1"), .start(container: ""),
        .signal(SendSignal(process: ProcessName("web-1"), signal: 15, all: false)),
        .signal(SendSignal(process: ProcessName("é", 7), signal: 64, all: true)),
        .resize(ResizeTerminal(process: ProcessName("web-1", .max), rows: 0, columns: 65535)),
        .exec(
            ExecProcess(
                process: ProcessName("web-1", 9), plan: [7], stdio: .pipes(stdin: 36, stdout: 37, stderr: 38))),
        .exec(ExecProcess(process: ProcessName(""), plan: [], stdio: .terminal(stream: 39, rows: 1, columns: 2))),
        .exec(
            ExecProcess(
                process: ProcessName("web-1", 2), plan: [],
                stdio: .pipes(stdin: nil, stdout: nil, stderr: nil),
                passed: [
                    .reader(stream: 132), .writer(stream: 0), .socket(stream: .max), .listener(stream: 5),
                    .file(name: "fd-2-0", flags: PassedDescriptor.fileFlags, offset: .max), .device(.urandom),
                ], cgroup: ["a", "b"])),
        .freeze(container: "web-1", frozen: true), .freeze(container: "", frozen: false),
        .update(container: "web-1", settings: [CgroupSetting("pids.max", "9")]), .update(container: "", settings: []),
        .listProcesses(container: "web-1"), .readCgroup(container: "web-1", files: ["cpu.stat", ""]),
        .readCgroup(container: "", files: []),
        .setClock(nanoseconds: 0), .setClock(nanoseconds: .max), .shutdown,
        .fileChanged(
            FileChanged(
                kind: .moved, tree: "bind-1", directory: Array("a/b".utf8), name: [0xFF, 0xFE], newDirectory: [],
                newName: Array("new".utf8), fileKind: 0o100000)),
        .fileChanged(FileChanged(kind: .modified, tree: "", directory: [], name: [], fileKind: .max)),
    ]

    static let guest: [GuestMessage] = [
        .hello(Hello(kernel: "6.12.1", uptime: 123_456_789)),
        .hello(Hello(version: 0, kernel: "", uptime: .max)),
        .done, .created(Created(pid: 42, rootfsMounted: .max)),
        .failed(Failure(kind: .container, message: "mounts[3]: no such file")),
        .failed(Failure(kind: .guest, message: "")), .failed(Failure(kind: .state, message: "é")),
        .failed(Failure(kind: .programNotFound, message: "x")),
        .failed(Failure(kind: .programNotExecutable, message: "x")),
        .processes([]),
        .processes([
            ProcessEntry(pid: 1, uid: 0, stat: [1, 0, 255], commandLine: []),
            ProcessEntry(pid: .max, uid: .max, stat: [], commandLine: Array("sh\0".utf8)),
        ]),
        .contents([]), .contents([FileContents(file: "a", bytes: nil), FileContents(file: "", bytes: [0])]),
        .contents([FileContents(file: "b", bytes: [])]),
        .outOfMemory(container: "web-1", count: 1), .outOfMemory(container: "", count: .max),
        .stepFailed(StepFailure(step: 1, index: 0, errno: 2)),
        .stepFailed(StepFailure(step: .max, index: .max, errno: .min)),
        .exited(ProcessExit(process: ProcessName("web-1", 3), signal: nil, code: 255, oomKilled: false)),
        .exited(ProcessExit(process: ProcessName("web-1", 3), signal: 1, code: 0, oomKilled: true)),
        .exited(ProcessExit(process: ProcessName(""), signal: 64, code: 0, oomKilled: false)),
        .watching(WatchedFiles(tree: "bind-0", inodes: [0, 1, .max])), .watching(WatchedFiles(tree: "", inodes: [])),
        .socketOpened(SocketOpened(container: "web-1", mount: 3, stream: 1 << 31)),
        .socketOpened(SocketOpened(container: "", mount: .max, stream: .max)),
    ]

    static let frames = host.map { $0.frame(request: 7) } + guest.map { $0.frame(request: .max) }
}

/// The error of decoding `frame` as a message to or from the guest, by its kind; nil when it is one.
func refusal(_ frame: Frame) -> WireError? {
    do throws(WireError) {
        if frame.kind < 128 { _ = try HostMessage(frame) } else { _ = try GuestMessage(frame) }
        return nil
    } catch {
        return error
    }
}

/// The same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

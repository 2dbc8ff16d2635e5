import AgentProtocol

/// Messages of every kind and form.
enum Samples {
    static let create = CreateContainer(
        container: "web-1", plan: [1, 0, 255], shareTag: "kvmfs", cgroup: ["user", "web-1"],
        settings: [CgroupSetting("pids.max", "9"), CgroupSetting("memory.swap.max", "0", isOptional: true)],
        watched: ["binds/0", "bïnds/1"],
        stdio: .pipes(stdin: 0, stdout: 1, stderr: nil))

    static let host: [HostMessage] = [
        .welcome(Welcome(realtime: 1_700_000_000_123_456_789, seed: Array(0..<64))),
        .welcome(Welcome(version: .max, realtime: .max, seed: [])),
        .create(create),
        .create(
            CreateContainer(
                container: "t", plan: [], shareTag: "", cgroup: [],
                stdio: .terminal(stream: 3, rows: 24, columns: .max))),
        .create(
            CreateContainer(
                container: "", plan: [0, 255], shareTag: "x", cgroup: [""],
                stdio: .pipes(stdin: nil, stdout: nil, stderr: .max))),
        .start(container: "web-1"), .start(container: ""),
        .signal(SendSignal(container: "web-1", signal: 15, all: false)),
        .signal(SendSignal(container: "é", signal: 64, all: true)),
        .resize(ResizeTerminal(container: "web-1", rows: 0, columns: 65535)),
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
        .stepFailed(StepFailure(step: 1, index: 0, errno: 2)),
        .stepFailed(StepFailure(step: .max, index: .max, errno: .min)),
        .exited(ContainerExit(container: "web-1", signal: nil, code: 255, oomKilled: false)),
        .exited(ContainerExit(container: "web-1", signal: 1, code: 0, oomKilled: true)),
        .exited(ContainerExit(container: "", signal: 64, code: 0, oomKilled: false)),
        .watching(WatchedFiles(tree: "bind-0", inodes: [0, 1, .max])), .watching(WatchedFiles(tree: "", inodes: [])),
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

import FileCalls
import LinuxSys
import VMMWire
import Virtio

/// The virtio file system device (virtio 1.2 §5.11): shares trees of the host under one virtual root.
public struct FileSystemDevice: VirtioDevice, ~Copyable {
    /// Milliseconds between two looks for locks that requests wait for.
    private static let lockPause: UInt32 = 1
    /// After so long without a request the guest is told of everything, and kicks for everything.
    private static let restMilliseconds: UInt32 = 2
    /// Bytes of the tag in the configuration space.
    private static let tagBytes = 36

    private let tag: [UInt8]
    private let fs: FileSystem
    private let engine: Engine
    private var worker: Worker?
    /// Found while polling; told once by `run`.
    private var failure: QueueError?

    /// Where trees are added and removed, from any thread.
    public var trees: SharedTrees { SharedTrees(fs: fs) }
    /// What it has done so far.
    public var counters: FileSystemCounters { fs.monitor.withLock { fs.counters } }
    public var isActive: Bool { engine.isActive }
    /// Descriptors that stand for inodes at the moment (O_PATH); those of open files come on top.
    public var keptDescriptors: Int { fs.monitor.withLock { fs.inodes.openDescriptors } }

    /// Bytes that were read ahead of directories.
    public var bufferedBytes: Int {
        let open = fs.monitor.withLock { fs.files.all }
        return open.reduce(0) { sum, file in
            guard case .directory(let directory) = file.member else { return sum }
            return sum + directory.monitor.withLock { directory.bufferedBytes }
        }
    }

    /// - Parameters:
    ///   - tag: the name by which the guest mounts it, 1 to 36 bytes of UTF-8 (§5.11.4).
    ///   - sharesLocks: locks on files are taken on the host, so that guests and the host's programs see each other's. A
    ///     process of a Linux guest that waits for one can't be interrupted then, since Linux sends no INTERRUPT to a
    ///     virtio-fs device. Else the guest's kernel keeps them by itself.
    ///   - gathersWrites: the guest may gather writes if all trees are `always` when it comes. Then no other tree can be
    ///     added later.
    /// - Throws: `invalidArgument` for another tag.
    public init(
        tag: String, limits: FileSystemLimits, sharesLocks: Bool = false, gathersWrites: Bool = false
    ) throws(Errno) {
        let bytes = Array(tag.utf8)
        guard (1...Self.tagBytes).contains(bytes.count), !bytes.contains(0) else { throw .invalidArgument }
        self.init(bytes, FileSystem(limits, sharesLocks: sharesLocks, gathersWrites: gathersWrites))
    }

    private init(_ tag: [UInt8], _ fs: FileSystem) {
        self.tag = tag
        self.fs = fs
        engine = Engine(fs)
    }

    // MARK: VirtioDevice

    public var features: VirtioFeatures { [.version1, .eventIndex, .indirectDescriptors] }
    public var queueCount: Int { FileSystemQueues.count }
    public var requiredQueues: Int { FileSystemQueues.count }
    public var descriptor: Int32? { nil }

    /// `struct virtio_fs_config` (§5.11.4): the tag, padded with zeros, and the number of request queues.
    public func configuration(at offset: UInt32, count: UInt32) -> [UInt8]? {
        let padded = tag + [UInt8](repeating: 0, count: Self.tagBytes - tag.count) + [1, 0, 0, 0]
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= UInt32(padded.count) else { return nil }
        return Array(padded[Int(offset)..<Int(end)])
    }

    public mutating func setConfiguration(_ bytes: [UInt8], at offset: UInt32) -> Bool { false }

    public mutating func activate(_ setup: DeviceSetup) throws(QueueError) {
        failure = nil
        try engine.activate(setup)
    }

    public mutating func deactivate() -> [QueuePosition?] {
        // What the guest has asked for is done before it ends. Bounded, whatever it adds meanwhile.
        for _ in 0..<8 { if case .budgetUsed = engine.serve(&worker, turn: engine.takeTurn()) {} else { break } }
        return engine.deactivate()
    }

    public mutating func reset() {
        _ = engine.deactivate()
        fs.forgetAll()
    }

    public func save() -> FileSystemState { fs.save() }
    public mutating func restore(_ state: FileSystemState) { fs.restore(state) }

    public mutating func queueKicked(_ index: Int) {}
    public mutating func descriptorReady() {}

    public mutating func poll() -> Bool {
        guard isActive else { return false }
        let turn = engine.takeTurn()
        switch engine.serve(&worker, turn: turn, polling: true) {
        case .resting, .budgetUsed, .relieved: return true
        case .idle:
            engine.lookAhead(worker, turn: turn)
            return false
        case .inactive: return false
        case .broken(let error):
            failure = error
            return false
        }
    }

    public mutating func run() -> NextRun {
        if let failure {
            self.failure = nil
            return .broken(failure)
        }
        guard isActive else { return .whenWoken }
        let served = engine.serve(&worker, turn: engine.takeTurn())
        engine.retryLocks(worker)
        switch served {
        case .budgetUsed, .relieved: return .atOnce
        case .resting: return .within(milliseconds: Self.restMilliseconds)
        case .idle:
            return fs.monitor.withLock { fs.locks.waiters.isEmpty }
                ? .whenWoken : .within(milliseconds: Self.lockPause)
        case .inactive: return .whenWoken
        case .broken(let error): return .broken(error)
        }
    }
}

/// The trees of a device.
public struct SharedTrees: Sendable {
    let fs: FileSystem

    /// - Throws: `fileExists` for a name that is taken, EMEDIUMTYPE for a tree that is not `always` when the guest gathers
    ///   writes, and what statx(2) says of the root.
    public func add(_ tree: SharedTree) throws(Errno) { try fs.add(tree) }

    /// Has `report` told of changes that the host makes to these inodes, by number: one at a time, each until
    /// `changeHandled`. The first `report` is the one for all trees.
    /// - Throws: `noSuchFile` when there is no tree of this name, and what inotify_init(2) says.
    public func watch(
        _ inodes: [UInt64], in name: FileName, report: @escaping @Sendable (FileChange) -> Void
    ) throws(Errno) {
        try fs.watch(Set(inodes), in: name, report: report)
    }

    public func changeHandled() { fs.changeHandled() }

    /// - Throws: `noSuchFile` when there is none of this name.
    public func remove(_ name: FileName) throws(Errno) { try fs.remove(name) }
}

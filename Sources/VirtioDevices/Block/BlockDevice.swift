import LinuxSys
import Virtio

/// The virtio block device (virtio 1.2 §5.2): a raw image as a disk. It waits for the file, so it wants a thread of its own.
public struct BlockDevice: VirtioDevice, ~Copyable {
    private let disk: BlockDisk
    private var activation = Activation<BlockQueues>.inactive
    /// Found while polling; told once by `run`.
    private var failure: QueueError?

    /// What it has done so far.
    public var counters: BlockCounters { disk.counters }
    public var isActive: Bool { activation.isActive }

    /// - Parameters:
    ///   - image: a regular file or a block device, open for reading and, unless `isReadOnly`, writing. Its size is looked
    ///     at once; whole sectors of 512 bytes are the disk.
    ///   - identity: what GET_ID answers, 1 to 20 bytes of ASCII without NUL.
    /// - Throws: `invalidArgument` for another identity, for what is neither a file nor a block device, and for less than a
    ///   sector; what lseek(2) says.
    public init(image: consuming FileDescriptor, isReadOnly: Bool, identity: String) throws(Errno) {
        let bytes = Array(identity.utf8)
        guard (1...BlockDisk.identityBytes).contains(bytes.count), bytes.allSatisfy({ $0 > 0 && $0 < 128 }) else {
            throw .invalidArgument
        }
        self.init(BlockDisk(try DiskImage(image, isReadOnly: isReadOnly), identity: bytes))
    }

    private init(_ disk: BlockDisk) { self.disk = disk }

    // MARK: VirtioDevice

    public var features: VirtioFeatures {
        let all: VirtioFeatures = [
            .version1, .eventIndex, .indirectDescriptors, .blockSegments, .blockSize, .blockFlush, .blockTopology,
        ]
        return all.union(disk.image.isReadOnly ? .blockReadOnly : [.blockCacheMode, .blockDiscard, .blockWriteZeroes])
    }
    public var queueCount: Int { BlockQueues.count }
    public var requiredQueues: Int { BlockQueues.count }
    public var descriptor: Int32? { nil }

    public func configuration(at offset: UInt32, count: UInt32) -> [UInt8]? {
        BlockConfiguration(sectors: disk.image.sectors, isCached: disk.isCached).part(at: offset, count: count)
    }

    /// `writeback` (§5.2.5) is the only field that a driver may write.
    public mutating func setConfiguration(_ bytes: [UInt8], at offset: UInt32) -> Bool {
        guard offset == BlockConfiguration.cacheModeOffset, bytes.count == 1, bytes[0] <= 1, !disk.image.isReadOnly
        else { return false }
        disk.isCached = bytes[0] == 1
        // What was written until now has to be there too. A disk that can't will say so at the next write.
        if !disk.isCached { try? disk.image.flush() }
        return true
    }

    public mutating func activate(_ setup: DeviceSetup) throws(QueueError) {
        failure = nil
        activation = .activated(try BlockQueues(setup))
    }

    public mutating func deactivate() -> [QueuePosition?] {
        let disk = disk
        let positions = activation.withActive { queues -> [QueuePosition?] in
            // What the guest has written is not to be lost when it ends. Bounded, whatever it adds meanwhile.
            for _ in 0..<8 { if case .budgetUsed? = try? queues.serve(disk, polling: true) {} else { break } }
            return queues.positions
        }
        activation = .inactive
        return positions ?? [nil]
    }

    public mutating func reset() {
        activation = .inactive
        failure = nil
        // §5.2.5.2: it starts with the cache on.
        disk.isCached = true
    }

    public func save() -> BlockState { BlockState(isCached: disk.isCached) }
    public mutating func restore(_ state: BlockState) { disk.isCached = state.isCached }

    public mutating func queueKicked(_ index: Int) {}
    public mutating func descriptorReady() {}

    public mutating func poll() -> Bool {
        guard failure == nil else { return false }
        do throws(QueueError) { return try serve(polling: true) != .idle } catch {
            failure = error
            return false
        }
    }

    public mutating func run() -> NextRun {
        do throws(QueueError) {
            if let failure { throw failure }
            return try serve(polling: false) == .budgetUsed ? .atOnce : .whenWoken
        } catch {
            activation = .inactive
            failure = nil
            return .broken(error)
        }
    }

    private mutating func serve(polling: Bool) throws(QueueError) -> BlockQueues.Served {
        let disk = disk
        return try activation.withActive { queues throws(QueueError) in
            try queues.serve(disk, polling: polling)
        } ?? .idle
    }
}

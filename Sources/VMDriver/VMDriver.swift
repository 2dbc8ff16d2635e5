import Glibc
import LinuxSys
import VMMWire

/// What a driver can do, as data: callers ask here instead of trying.
public struct VMCapabilities: Equatable, Sendable {
    /// Gives memory that the guest no longer uses back to the host.
    public var freePageReporting: Bool
    public var maximumVCPUs: Int
    public var maximumDisks: Int

    public init(freePageReporting: Bool, maximumVCPUs: Int, maximumDisks: Int) {
        self.freePageReporting = freePageReporting
        self.maximumVCPUs = maximumVCPUs
        self.maximumDisks = maximumDisks
    }
}

/// A way to have virtual machines.
public protocol VMDriver {
    var capabilities: VMCapabilities { get }

    /// Starts a machine; its processes die with the calling thread. Returns when they run, not when the guest does.
    /// - Parameters:
    ///   - directory: the sandbox's private directory; the vsock sockets appear in it.
    ///   - loop: calls `events` from its thread.
    func start(
        _ plan: VMPlan, in directory: SandboxDirectory, loop: EventLoop, events: @escaping (VMEvent) -> Void
    ) throws(VMError) -> any VirtualMachine
}

/// A running machine.
public protocol VirtualMachine: AnyObject {
    /// Kills every process of the machine at once and reaps them. Idempotent.
    func kill()
    /// Microseconds of processor time by process, of those that have been reaped.
    var processorTimes: [(name: String, microseconds: UInt64)] { get }
    /// Gives the guest another tree; `done` is told nil, or why it does not have it.
    func share(_ tree: VMPlan.SharedTree, done: @escaping (VMError?) -> Void)
    /// Takes a tree from the guest, by its name.
    func unshare(tree: String)
    /// Asks for changes that the host makes to these inodes of a tree (`VMEvent.fileChanged`).
    func watch(tree: String, inodes: [UInt64])
    /// The guest has been told of a change: the next one may come.
    func fileChangeHandled()
    /// pids by name, for people and measurements.
    var processes: [(name: String, pid: pid_t)] { get }
}

/// What happens to a machine.
public enum VMEvent: Equatable, Sendable {
    /// Bytes of the guest's console.
    case console([UInt8])
    /// The host has changed a file that the guest watches.
    case fileChanged(FileChange)
    /// The guest gave up the machine: reset, triple fault, or power-off.
    case ended(VMEnd)
}

public enum VMEnd: Equatable, Sendable {
    /// The guest reset or switched the machine off; after a panic too.
    case guestReset
    /// The machine is another container's, and that has ended.
    case guestLeft(owner: String)
    /// A process of the machine ended by itself. `complaint` is its last words.
    case processDied(name: String, status: ExitStatus, complaint: String)
}

/// Why a machine can't be had, for the person who asked for it.
public struct VMError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// The private directory of a sandbox.
public struct SandboxDirectory: Sendable {
    public let path: String
    public let descriptor: SharedDescriptor

    public init(path: String) throws(Errno) {
        self.path = path
        descriptor = SharedDescriptor(try FileDescriptor.directory(path))
    }
}

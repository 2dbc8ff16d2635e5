import Glibc
import JSON
import KVM
import LinuxSys
import OCISpec
import Spawn
import StateStore

/// How a container is to be made, by `create` and by `run`.
public struct LaunchOptions: Sendable {
    public var id: String
    public var bundle = "."
    public var pidFile: String?
    public var consoleSocket: String?
    /// How many of the caller's descriptors from 3 on the container's process is to have, behind those that LISTEN_FDS tells
    /// of.
    public var preserveFds = 0

    public init(id: String) { self.id = id }
}

/// From a bundle to a supervisor that boots its guest.
struct Launch {
    let context: RuntimeContext
    let options: LaunchOptions
    /// `run` without `--detach`.
    let foreground: Bool
    let removesAtExit: Bool

    func start() throws(RuntimeError) -> LaunchedSandbox {
        let id = try RuntimeContext.containerID(options.id)
        let bundle = try Bundle(path: options.bundle)
        let hasTerminal = bundle.spec.process?.terminal == true
        try checkTerminal(hasTerminal)
        try context.assets.requireAll()
        let store = context.store
        do throws(StateError) { try store.claim(id) } catch { throw RuntimeError("\(error)") }
        do throws(RuntimeError) { return try start(id, bundle, store, hasTerminal) } catch {
            // What failed is the news; a directory that can't be removed as well is not.
            try? store.remove(id)
            throw error
        }
    }

    /// runc's rules for terminals.
    private func checkTerminal(_ wanted: Bool) throws(RuntimeError) {
        if !foreground, wanted, options.consoleSocket == nil {
            throw RuntimeError("cannot allocate tty if kvm-runtime will detach without setting console socket")
        }
        if options.consoleSocket != nil, foreground || !wanted {
            throw RuntimeError("cannot use console socket if kvm-runtime will not detach or allocate tty")
        }
        if foreground, wanted, CallersTerminal.number == nil {
            throw RuntimeError(
                "the container wants a terminal (process.terminal), but neither stderr, stdout nor stdin is one: run it from a terminal, set "
                    + "process.terminal to false, or use --detach with --console-socket")
        }
    }

    private func start(
        _ id: ContainerID, _ given: Bundle, _ store: StateStore, _ hasTerminal: Bool
    ) throws(RuntimeError) -> LaunchedSandbox {
        var bundle = given
        let joined = try JoinedNamespaces.find(bundle.spec, in: store)
        joined?.completeMaps(of: &bundle.spec, in: store)
        var accelerated = false
        if joined == nil {
            accelerated = try AcceleratorChoice.isAccelerated(context.configuration, log: context.log)
        }
        let choice = try VMChoice(bundle.spec, context.configuration.allowed)
        if joined != nil, choice != VMChoice() {
            throw RuntimeError(
                "vm and annotations choose a virtual machine, but the container is in the guest of another")
        }
        let size = GuestSize(
            bundle.spec, context.configuration, choice: choice, hostCPUs: HostSize.cpus,
            hostMemoryMiB: HostSize.memoryMiB)
        var request = LaunchRequest(
            id: id.text, root: context.root, bundle: bundle, size: size, configuration: context.configuration,
            assets: context.assets, accelerated: accelerated,
            tscKilohertz: accelerated ? nil : HostTSC.kilohertz())
        request.take(choice)
        request.disks = try ContainerDisk.all(of: bundle, context.configuration)
        try request.image?.checkAlone(among: request.disks)
        if let joined {
            guard request.disks.isEmpty else {
                throw RuntimeError(
                    "a container that joins another's namespaces lives in the guest of \(joined.sandbox), which has no disks "
                        + "for it: \(request.disks.map(\.source).joined(separator: ", "))")
            }
            try join(joined, &request, bundle.spec)
        }
        request.listening = ListenDescriptors.count
        try HostDescriptor.checkCount(options.preserveFds)
        request.passed = request.listening + options.preserveFds
        // The supervisor sees the same, but later.
        _ = try HostDescriptor.all(request.passed, from: 3)
        request.followsLauncher = foreground
        request.removesAtExit = removesAtExit
        request.consoleSocket = options.consoleSocket != nil
        request.debug = context.log.isDebug
        let hooks = bundle.spec.hooks
        request.waitsForHooks = [hooks?.prestart, hooks?.createRuntime, hooks?.createContainer]
            .contains { !($0?.isEmpty ?? true) }
        do throws(StateError) { try store.write(spec: bundle.spec.json.bytes(), of: id) } catch {
            throw RuntimeError("\(error)")
        }
        warnOfPropagation(bundle.spec)
        // Devices that look for work by themselves would spend the container's own time.
        if (bundle.spec.linux?.resources?.cpu?.quota ?? 0) > 0 { request.pollMicroseconds = 0 }
        let place = try makeCgroup(bundle.spec, id, request)
        request.cgroup = place.cgroup
        let sandbox: LaunchedSandbox
        do throws(RuntimeError) {
            sandbox = try startInCgroup(&request, bundle, id, hasTerminal, joined?.standIns ?? [])
        } catch {
            request.cgroup.leave()
            request.cgroup.remove(milliseconds: 100)
            throw error
        }
        place.release()
        if request.waitsForHooks { try sandbox.runFirstHooks() }
        return sandbox
    }

    /// Between the host's mounts and the guest's nothing is passed on.
    private func warnOfPropagation(_ spec: Spec) {
        for (index, mount) in spec.mounts.enumerated() where mount.isBind {
            // buildah says "shared" of everything. Below a file there is nothing.
            for word in mount.options
            where ["rshared", "slave", "rslave"].contains(word) && File.isDirectory(mount.source) {
                context.log.warning(
                    "mounts[\(index)]: \(word) holds inside the guest: what the host mounts below \(mount.source) from now on is "
                        + "not seen in the container, nor the other way round")
            }
        }
    }

    /// The container's guest is another's.
    private func join(
        _ joined: JoinedNamespaces, _ request: inout LaunchRequest, _ spec: Spec
    ) throws(RuntimeError) {
        guard spec.linux?.resources?.blockIO?.saysNothing ?? true else {
            throw RuntimeError(
                "linux.resources.blockIO is not supported in the guest of another container: the limits of devices are the "
                    + "guest's as a whole")
        }
        for key in (spec.linux?.sysctl ?? [:]).keys.sorted() {
            guard let kind = SysctlKey.namespace(of: key), spec.linux?.namespaceKinds.contains(kind) == true else {
                throw RuntimeError(
                    "linux.sysctl: \(JSONText.quoted(key)) is in no namespace of the container's, and would hold for all in the "
                        + "guest of \(joined.sandbox)")
            }
        }
        request.sandbox = joined.sandbox.text
        request.joins = joined.joins
        request.memoryMiB = joined.memoryMiB
        if let limit = spec.linux?.resources?.memory?.limit, limit >> 20 > Int64(joined.memoryMiB) {
            context.log.warning(
                "the container may have \(limit >> 20) MiB, but the guest of \(joined.sandbox), in which it is, has "
                    + "\(joined.memoryMiB) MiB in all")
        }
    }

    /// The process that has the container's pid on the host.
    func makeStandIn(
        _ bundle: Bundle, _ disks: [ContainerDisk], _ joins: [StandInProcess.Join]
    ) throws(RuntimeError) -> (pid: pid_t, channel: SharedDescriptor) {
        let spec = bundle.spec
        var standIn = StandInProcess(rootfs: bundle.rootfs)
        // What is on a disk is seen in the guest only.
        standIn.trees =
            bundle.standInTrees + disks.filter { !$0.isRoot }.map { .init(source: nil, target: $0.target) }
        standIn.joins = joins
        let new = Set((spec.linux?.namespaces ?? []).filter(\.path.isEmpty).map(\.type))
        standIn.newNetwork = spec.linux?.namespaces.contains { $0.type == .network } ?? false
        standIn.newUser = new.contains(.user)
        standIn.newCgroup = new.contains(.cgroup)
        standIn.newTime = new.contains(.time)
        standIn.timeOffsets = spec.linux?.timeOffsetLines ?? ""
        standIn.hostname = spec.hostname
        standIn.title = ["kvm-runtime:"] + (spec.process?.args ?? [])
        do throws(Errno) {
            let (ours, theirs) = try Sockets.pair(.packets).split()
            let channel = SharedDescriptor(FileDescriptor(owning: ours))
            return (try standIn.start(channel: FileDescriptor(owning: theirs)), channel)
        } catch {
            throw RuntimeError("can't make the container's process on the host: \(error)")
        }
    }

    func spawn(
        _ request: LaunchRequest, _ id: ContainerID, _ hasTerminal: Bool,
        _ standIn: (pid: pid_t, channel: SharedDescriptor), _ spec: Spec
    ) throws(RuntimeError) -> LaunchedSandbox {
        do {
            let pair = try Sockets.pair(.packets)
            var program = Program(
                path: "/proc/self/exe", arguments: ["sandbox"],
                descriptors: [
                    0: 0, 1: 1, 2: 2, LaunchRequest.Inherited.channel: pair.second.raw,
                    LaunchRequest.Inherited.standIn: standIn.channel.raw,
                ])
            program.name = "kvm-runtime"
            program.newSession = true
            // The container outlives the command, unless the command runs it in the foreground.
            program.diesWithParent = false
            program.pass(request.passed)
            let socket = try consoleSocket()
            let null = SharedDescriptor(try FileDescriptor.open("/dev/null", O_RDWR))
            if let socket { program.giveTerminal(socket, null) }
            let process = try program.start()
            // They are the container's now: who holds the other ends is to see when it lets go of them.
            for index in 0..<request.passed { close(CInt(3 + index)) }
            let channel = ControlChannel(try pair.first.duplicate())
            channel.send(request.json)
            return LaunchedSandbox(
                id: id, process: process, standIn: standIn.pid, channel: channel, hasTerminal: hasTerminal, spec: spec,
                bundle: request.bundle, log: context.log, cgroup: request.cgroup,
                store: context.store, removedWhenLost: removesAtExit || !foreground)
        } catch let error as RuntimeError {
            throw error
        } catch {
            throw RuntimeError("can't start the supervisor: \(error)")
        }
    }

    private func consoleSocket() throws(RuntimeError) -> SharedDescriptor? {
        guard let path = options.consoleSocket else { return nil }
        do throws(Errno) { return SharedDescriptor(try Sockets.connect(to: path)) } catch {
            throw RuntimeError("--console-socket \(path): \(error)")
        }
    }
}

extension Program {
    /// Hands on this many descriptors of the caller's from 3 on.
    mutating func pass(_ count: Int) {
        for index in 0..<CInt(count) { descriptors[LaunchRequest.Inherited.passed + index] = 3 + index }
    }

    /// Its terminal's master goes over `socket`, and the caller's stdio is none of its business: who held the caller's
    /// pipes would keep it waiting for their end (containerd's shim reads until then).
    mutating func giveTerminal(_ socket: SharedDescriptor, _ null: SharedDescriptor) {
        for number: CInt in 0...2 { descriptors[number] = null.raw }
        descriptors[LaunchRequest.Inherited.consoleSocket] = socket.raw
    }
}

extension RuntimeError {
    init(_ description: String, exitCode: Int32, console: [String]) {
        self.init(description, exitCode: exitCode)
        self.console = console
    }
}

enum PidFile {
    /// Writes the pid so that a reader never sees half of it.
    static func write(_ pid: pid_t, to path: String) throws(RuntimeError) {
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
        do throws(Errno) {
            guard !name.isEmpty else { throw .isDirectory }
            try File.writeAtomically(
                Array("\(pid)".utf8), to: name, in: try FileDescriptor.directory(directory), mode: 0o644)
        } catch {
            throw RuntimeError("--pid-file \(path): \(error)")
        }
    }
}

import CSpawn
import LinuxSys

/// A program to start: what it gets, and nothing else. Descriptors that are not named are closed in it.
public struct Program: Sendable {
    /// A bind mount in the program's own mount namespace, below `Share.root`.
    public struct Bind: Equatable, Sendable {
        public var source: String
        /// Relative to the share's root; missing directories are made.
        public var target: String
        public var readOnly: Bool
        /// Takes along what is mounted below the source.
        public var recursive: Bool

        public init(source: String, target: String, readOnly: Bool, recursive: Bool) {
            self.source = source
            self.target = target
            self.readOnly = readOnly
            self.recursive = recursive
        }
    }

    /// A tree of bind mounts that only the program sees, on a tmpfs over an existing directory of the host. It needs no
    /// cleaning up: it goes with the program's mount namespace.
    public struct Share: Equatable, Sendable {
        public var root: String
        public var binds: [Bind]

        public init(root: String, binds: [Bind]) {
            self.root = root
            self.binds = binds
        }
    }

    /// An absolute path.
    public var path: String
    /// argv[0], if it is not to be the path.
    public var name: String?
    /// Without the program's own name, which is its path.
    public var arguments: [String]
    public var environment: [String]
    /// The caller's descriptor for each number in the program. The caller keeps its own.
    public var descriptors: [CInt: CInt]
    /// The program's current directory; nil: the caller's.
    public var directory: String?
    public var newSession = false
    /// Killed when the thread that started it ends, however that comes about.
    public var diesWithParent = true
    public var noNewPrivileges = false
    public var share: Share?
    /// Runs in this process's mount, network, UTS and IPC namespaces; what it mounts stays in there.
    public var namespacesOf: pid_t?

    public init(
        path: String, arguments: [String], environment: [String] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        descriptors: [CInt: CInt]
    ) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
        self.descriptors = descriptors
    }
}

/// Why a program could not be started.
public struct SpawnError: Error, Equatable, Sendable, CustomStringConvertible {
    public let path: String
    /// What was being done: "bind mount /data".
    public let step: String
    public let errno: Errno
    /// The program itself is missing or can't be executed.
    public let isExec: Bool

    public var description: String {
        isExec ? "can't execute \(path): \(errno)" : "can't start \(path): \(step): \(errno)"
    }
}

/// A child process that was started and not yet reaped.
public struct ChildProcess: ~Copyable, Sendable {
    public let pid: pid_t
    private let descriptor: FileDescriptor
    /// A pidfd: becomes readable when the process has ended.
    public var raw: CInt { descriptor.raw }

    fileprivate init(pid: pid_t, descriptor: consuming FileDescriptor) {
        self.pid = pid
        self.descriptor = descriptor
    }

    /// Sends a signal; a process that has ended is no error.
    public func send(_ signal: CInt) { _ = try? ProcessSignal.send(signal, to: descriptor) }

    /// Waits for the end, and reaps.
    public func wait() throws(Errno) -> ExitStatus { try Processes.wait(pid) }

    /// Waits for the end, and reaps; with the processor time that it used.
    public func waitForEnd() throws(Errno) -> Processes.End { try Processes.waitForEnd(of: pid) }

    /// How it ended, if it has; reaps it then.
    public func poll() throws(Errno) -> Processes.End? { try Processes.poll(pid) }
}

extension Program {
    /// Starts the program; returns when it has been executed.
    public func start() throws(SpawnError) -> ChildProcess {
        let strings = CStrings()
        let numbers = descriptors.sorted { $0.key < $1.key }
            .map { cspawn_descriptor(from: $0.value, to: $0.key) }
        let binds = (share?.binds ?? []).map { bind in
            cspawn_bind(
                source: strings.add(bind.source), target: strings.add(bind.target), read_only: bind.readOnly ? 1 : 0,
                recursive: bind.recursive ? 1 : 0)
        }
        let argv = ([name ?? path] + arguments).map { strings.add($0) as UnsafeMutablePointer<CChar>? } + [nil]
        let envp = environment.map { strings.add($0) as UnsafeMutablePointer<CChar>? } + [nil]
        var pidfd: CInt = -1
        var failure = cspawn_failure()
        let pid = numbers.withUnsafeBufferPointer { numbers in
            binds.withUnsafeBufferPointer { binds in
                argv.withUnsafeBufferPointer { argv in
                    envp.withUnsafeBufferPointer { envp in
                        var request = cspawn_request(
                            path: strings.add(path), arguments: argv.baseAddress, environment: envp.baseAddress,
                            directory: directory.map { UnsafePointer(strings.add($0)) },
                            descriptors: numbers.baseAddress, descriptor_count: numbers.count,
                            new_session: newSession ? 1 : 0, parent_death_signal: diesWithParent ? 9 : 0,
                            no_new_privileges: noNewPrivileges ? 1 : 0,
                            namespaces_of: namespacesOf ?? 0,
                            share_root: share.map { UnsafePointer(strings.add($0.root)) },
                            binds: binds.baseAddress, bind_count: binds.count)
                        return cspawn_start(&request, &pidfd, &failure)
                    }
                }
            }
        }
        guard pid > 0 else { throw error(failure) }
        return ChildProcess(pid: pid, descriptor: FileDescriptor(owning: pidfd))
    }

    private func error(_ failure: cspawn_failure) -> SpawnError {
        let errno = Errno(rawValue: failure.code)
        let bind = share?.binds.indices.contains(Int(failure.index)) == true ? share?.binds[Int(failure.index)] : nil
        let step =
            switch cspawn_step(rawValue: cspawn_step.RawValue(failure.step)) {
            case CSPAWN_CLONE: "clone"
            case CSPAWN_PARENT_GONE: "its parent is gone"
            case CSPAWN_SESSION: "new session"
            case CSPAWN_DIRECTORY: "go to \(directory ?? "")"
            case CSPAWN_NAMESPACE: namespacesOf == nil ? "new mount namespace" : "join the container's namespaces"
            case CSPAWN_SHARE_ROOT: "tmpfs on \(share?.root ?? "")"
            case CSPAWN_BIND_TARGET: "make the mount point \(bind?.target ?? "")"
            case CSPAWN_BIND: "bind mount \(bind?.source ?? "")"
            case CSPAWN_BIND_READ_ONLY: "make the bind mount of \(bind?.source ?? "") read-only"
            case CSPAWN_DESCRIPTORS: "hand over descriptors"
            default: "execute"
            }
        return SpawnError(path: path, step: step, errno: errno, isExec: failure.step == Int32(CSPAWN_EXEC.rawValue))
    }
}

import AgentProtocol
import JSON
import JailCompiler
import LinuxSys
import OCISpec

extension ExitStatus {
    /// "exited with code 1", "was killed by SIGKILL".
    var words: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .signaled(let signal): "was killed by \(Signals.name(of: signal))"
        }
    }
}

extension ProcessExit {
    /// What a shell says of it: the code, or 128 + the signal.
    var shellCode: Int32 { signal.map { 128 + Int32($0) } ?? Int32(code) }
}

extension RuntimeError {
    /// The agent's refusal, with runc's exit codes.
    init(_ failure: Failure) {
        let code: Int32 =
            switch failure.kind {
            case .programNotFound: 127
            case .programNotExecutable: 126
            case .container, .guest, .state: 1
            }
        self.init(failure.message, exitCode: code)
    }
}

extension ControlEvent {
    init(agentAnswer: Result<GuestMessage, RuntimeError>) {
        switch agentAnswer {
        case .success(.failed(let failure)): self.init(RuntimeError(failure))
        case .success(.stepFailed(let failure)): self = .stepFailed(failure)
        case .success: self = .done
        case .failure(let error): self.init(error)
        }
    }
}

extension Mount {
    /// Whether a bind is read-only ("ro", "rro"), so that the host need not trust the guest with it. On the host it then
    /// is with all that is mounted below the source.
    var isReadOnly: Bool {
        let options = parsedOptions
        if options.recursiveSet.contains(.readOnly) { return true }
        return options.setFlags.contains(.readOnly) && !options.recursiveClear.contains(.readOnly)
    }

    /// Whether a bind takes along what is mounted below its source.
    var isRecursive: Bool { parsedOptions.setFlags.contains(.recursive) }
}

extension Spec {
    /// The limits of the cgroup in the guest: the guest was made in the size of the cpuset, whose numbers are the host's.
    var guestResources: Linux.Resources {
        let isOld = SpecVersion(ociVersion).map { $0.major == 1 && $0.minor < 3 } ?? false
        var resources = linux?.resources ?? Linux.Resources()
        resources.cpu?.cpus = ""
        resources.cpu?.mems = ""
        // Where the number had to be said, 0 was how to say nothing.
        if isOld, resources.pids?.limit == 0 { resources.pids = nil }
        return resources
    }
}

extension SeccompFilter {
    /// The filter that a configuration asks for.
    static func compile(_ spec: Spec) -> Result<SeccompFilter?, RuntimeError> {
        do throws(SpecError) {
            return .success(try spec.linux?.seccomp.flatMap { s throws(SpecError) in try SeccompFilter(s) })
        } catch {
            return .failure(RuntimeError("config.json: \(error)"))
        }
    }
}

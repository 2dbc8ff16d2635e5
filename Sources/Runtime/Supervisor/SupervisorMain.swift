import Glibc
import JSON
import LinuxSys

/// The supervisor's process: `kvm-runtime sandbox`, started by `create` and `run` only.
public enum SupervisorMain {
    /// Runs the sandbox that the launcher describes over the inherited channel; the exit code.
    public static func run() -> Int32 {
        let channel = ControlChannel(FileDescriptor(owning: LaunchRequest.Inherited.channel))
        let launcher = Launcher(channel: channel)
        do {
            Signals.ignore(SIGPIPE)
            ProcessControl.raiseLimits()
            // The caller's directory must stay free to be unmounted and removed; all paths here are absolute.
            _ = chdir("/")
            let signals = try SignalDescriptor(Signals.forwardable)
            guard let value = try channel.receive() else { return 1 }
            let request = try LaunchRequest(decoding: value)
            try channel.socket.descriptor.setNonBlocking()
            return try Supervisor(request: request, launcher: launcher, signals: signals).run()
        } catch {
            launcher.send(.failed(message: "the sandbox can't start: \(error)", exitCode: 1, console: []))
            return 1
        }
    }
}

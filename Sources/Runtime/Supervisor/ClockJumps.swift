import LinuxSys

/// Tells when the host's wall clock was set, by a person, by NTP's step, or by waking from suspension.
final class ClockJumps {
    private let timer: ClockJumpDescriptor

    init(loop: EventLoop, jumped: @escaping () -> Void) throws(Errno) {
        timer = try ClockJumpDescriptor()
        try loop.watch(timer.raw, .readable) { [weak self] _ in
            guard let self, timer.take() else { return }
            jumped()
        }
    }
}

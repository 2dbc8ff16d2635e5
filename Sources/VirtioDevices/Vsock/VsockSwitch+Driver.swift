import LinuxSys
import Virtio

/// The driver comes and goes.
extension VsockSwitch {
    func driverReady() {
        isActive = true
        let deadline = Clock.monotonicNanoseconds() + Self.requestNanoseconds
        for connection in table.all {
            // A pause is not counted against the guest.
            if case .requested = connection.stage { connection.stage = .requested(deadline: deadline) }
            open(connection)
        }
    }

    /// The guest knows none of the connections any more; those that wait for it keep waiting.
    func driverGone() {
        strays.removeAll()
        for connection in table.all {
            switch connection.stage {
            case .greeting, .waiting, .draining: break
            case .requested: refuse(connection, .connectionReset, tell: false)
            case .established: guestGone(connection)
            }
        }
    }

    /// The queues can't be used any more: nobody shall wait for what will not come.
    func driverBroken() {
        driverGone()
        for connection in table.all {
            if case .waiting = connection.stage { refuse(connection, .hostUnreachable, tell: false) }
        }
    }

    /// When to look again, if nothing happens until then.
    func nextRun() -> NextRun {
        guard isActive, let deadline = nextDeadline else { return .whenWoken }
        let now = Clock.monotonicNanoseconds()
        let left = deadline > now ? (deadline - now) / 1_000_000 + 1 : 1
        return .within(milliseconds: UInt32(clamping: left))
    }

    /// Writes what is left for the host until nothing is, or the time is over.
    func drain(untilNanoseconds end: UInt64) {
        while table.all.contains(where: { !$0.pending.isEmpty }) {
            let now = Clock.monotonicNanoseconds()
            guard now < end else { return }
            collectEvents(waitingMilliseconds: CInt(clamping: (end - now) / 1_000_000 + 1))
        }
    }
}

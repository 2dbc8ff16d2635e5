import FileCalls
import LinuxSys
import Virtio

/// Serves the queues so that no request holds up the others.
///
/// One thread at a time takes requests from the queues and carries them out itself: a hand-over to another thread would
/// cost more than most requests do. A second thread watches: when a request does not come back from the host for a
/// while (a disk that is slow, a network file system that hangs), it takes over, and a third one watches. Who comes
/// back finds that it was relieved, answers its request, and is the next to watch.
final class Engine: @unchecked Sendable {
    /// How long one request may take before another thread takes over.
    private static let patienceMicroseconds: UInt32 = 3000
    /// So long the watching thread stays awake after the last request.
    private static let restlessRounds = 20
    /// Threads at most; when all wait for the host, the device waits.
    private static let mostThreads = 32
    /// Requests before the transport gets its turn.
    private static let budget = 128

    enum Served {
        case idle
        /// There was something, and more may follow; or there is something that the guest is still to be told of.
        case resting
        case budgetUsed
        /// Another thread serves now.
        case relieved
        case inactive
        case broken(QueueError)
    }

    let fs: FileSystem
    private let monitor = Monitor()

    // Guarded by the monitor.
    private var activation = Activation<FileSystemQueues>.inactive
    /// Counts up when another thread begins to serve.
    private var turn: UInt64 = 0
    /// Counts activations: an answer of before is not for the queues of after.
    private var session: UInt64 = 0
    /// Requests that were taken and not answered yet, but those that wait for locks.
    private var underWay = 0
    /// The thread whose turn it is carries out a request; which one.
    private var isBusy = false
    private var request: UInt64 = 0
    private var watcherSleeps = false
    private var hasWatcher = false
    private var threads = 0
    private var failure: QueueError?
    /// There was no request since the last look.
    private var isQuiet = true

    init(_ fs: FileSystem) { self.fs = fs }

    var isActive: Bool { monitor.withLock { activation.isActive } }

    // MARK: The life of the device

    func activate(_ setup: DeviceSetup) throws(QueueError) {
        let queues = try FileSystemQueues(setup)
        let isFresh = queues.isFresh
        monitor.lock()
        activation = .activated(queues)
        session += 1
        // What is still under way is of before, and its answer finds another session.
        underWay = 0
        failure = nil
        monitor.unlock()
        guard isFresh else { return }
        let waiters = fs.monitor.withLock { fs.locks.removeWaiters() }
        withExtendedLifetime(waiters) {}
    }

    /// Lets go of the queues, when the requests that are under way have been answered. One that does not come back
    /// from the host within two seconds is not waited for.
    func deactivate() -> [QueuePosition?] {
        for _ in 0..<2000 {
            if monitor.withLock({ underWay == 0 }) { break }
            Thread.sleep(microseconds: 1000)
        }
        monitor.lock()
        defer { monitor.unlock() }
        let positions = activation.withActive { queues in
            _ = queues.settle()
            return queues.positions
        }
        activation = .inactive
        underWay = 0
        return positions ?? [nil, nil]
    }

    // MARK: Serving

    /// The calling thread serves from now on.
    func takeTurn() -> UInt64 {
        monitor.withLock {
            turn += 1
            return turn
        }
    }

    /// Carries out requests as long as there are some and nobody else has the turn.
    /// - Parameter polling: it is called again at once, so the guest need not kick.
    func serve(_ worker: inout Worker?, turn mine: UInt64, polling: Bool = false) -> Served {
        for count in 0..<Self.budget {
            switch next(&worker, mine, polling) {
            case .nothing: return count > 0 ? .resting : .idle
            case .request(let session):
                guard let worker else { return .inactive }
                let written = worker.process()
                answer(worker, session, written, turn: mine)
            case .stop(let served): return served
            }
        }
        return .budgetUsed
    }

    /// Uses a moment in which the guest asks for nothing.
    func lookAhead(_ worker: Worker?, turn mine: UInt64) {
        guard let worker, worker.directoryAhead != nil else { return }
        monitor.lock()
        guard turn == mine, activation.isActive else { return monitor.unlock() }
        // The host may be slow with this too; then another thread takes over.
        isBusy = true
        request &+= 1
        wakeWatcher()
        monitor.unlock()
        worker.lookAhead()
        monitor.withLock { if turn == mine { isBusy = false } }
    }

    private enum Next {
        case request(session: UInt64)
        /// While polling.
        case nothing
        case stop(Served)
    }

    /// Takes the next request into `worker`'s chain.
    private func next(_ worker: inout Worker?, _ mine: UInt64, _ polling: Bool) -> Next {
        monitor.lock()
        defer { monitor.unlock() }
        guard turn == mine else { return .stop(.relieved) }
        isBusy = false
        var interrupts: UInt64 = 0
        defer { if interrupts > 0 { fs.monitor.withLock { fs.counters.interrupts &+= interrupts } } }
        if let failure { return .stop(.broken(failure)) }
        do throws(QueueError) {
            let queue = try activation.withActive { queues throws(QueueError) -> Int? in
                if worker?.memory !== queues.memory { worker = Worker(fs, queues.memory) }
                guard let worker else { return nil }
                queues.suppressKicks()
                repeat {
                    if let queue = try queues.pop(into: &worker.chain) { return queue }
                    if polling { return nil }
                    if isQuiet, queues.settle() { interrupts += 1 }
                } while try queues.armKicks(gathering: !isQuiet)
                return nil
            }
            guard let queue else { return .stop(.inactive) }
            guard let queue else {
                if polling { return .nothing }
                defer { isQuiet = true }
                return .stop(isQuiet ? .idle : .resting)
            }
            worker?.queue = queue
            isQuiet = false
            isBusy = true
            request &+= 1
            underWay += 1
            wakeWatcher()
            return .request(session: session)
        } catch {
            failure = error
            activation = .inactive
            return .stop(.broken(error))
        }
    }

    private func answer(_ worker: Worker, _ mine: UInt64, _ written: UInt32?, turn served: UInt64) {
        var interrupts: UInt64 = 0
        monitor.lock()
        if turn == served { isBusy = false }
        if session == mine, activation.isActive {
            underWay -= 1
            activation.withActive { queues in
                if let written, queues.finish(worker.chain.head, of: worker.queue, written: written) { interrupts += 1 }
                for late in worker.late {
                    let count = worker.write(late)
                    if queues.finish(late.place.head, of: late.place.queue, written: count) { interrupts += 1 }
                }
            }
        }
        monitor.unlock()
        worker.late.removeAll(keepingCapacity: true)
        if interrupts > 0 { fs.monitor.withLock { fs.counters.interrupts &+= interrupts } }
    }

    /// Tries again to take the locks that requests wait for.
    func retryLocks(_ worker: Worker?) {
        guard let worker else { return }
        let mine = monitor.withLock { () -> UInt64? in
            // Only an active device gives it back.
            guard activation.isActive else { return nil }
            underWay += 1
            return session
        }
        guard let mine else { return }
        worker.retryLocks()
        answer(worker, mine, nil, turn: 0)
    }

    // MARK: Watching

    /// With the monitor held.
    private func wakeWatcher() {
        if watcherSleeps {
            watcherSleeps = false
            monitor.wakeAll()
        } else if !hasWatcher, threads < Self.mostThreads {
            hasWatcher = true
            threads += 1
            do throws(Errno) {
                try Thread.detach { [self] in watch() }
            } catch {
                // Without one a slow request holds up the others; the next request tries again.
                hasWatcher = false
                threads -= 1
            }
        }
    }

    /// The watching thread's life.
    private func watch() {
        var worker: Worker?
        while let mine = waitForTrouble() {
            serveInstead(&worker, mine)
            let goesOn = monitor.withLock { () -> Bool in
                if hasWatcher {
                    threads -= 1
                    return false
                }
                hasWatcher = true
                return true
            }
            if !goesOn { return }
        }
    }

    /// - Returns: the turn, when the thread that had it does not come back; nil never.
    private func waitForTrouble() -> UInt64? {
        monitor.lock()
        defer { monitor.unlock() }
        var quiet = 0
        while true {
            if !isBusy {
                quiet += 1
                if quiet > Self.restlessRounds {
                    watcherSleeps = true
                    while watcherSleeps { monitor.wait() }
                    quiet = 0
                }
            }
            let seen = request
            monitor.unlock()
            Thread.sleep(microseconds: Self.patienceMicroseconds)
            monitor.lock()
            if seen != request { quiet = 0 }
            guard isBusy, seen == request, threads < Self.mostThreads else { continue }
            turn += 1
            isBusy = false
            hasWatcher = false
            fs.monitor.withLock { fs.counters.handovers &+= 1 }
            return turn
        }
    }

    /// Serves until somebody else has the turn.
    private func serveInstead(_ worker: inout Worker?, _ mine: UInt64) {
        while true {
            switch serve(&worker, turn: mine) {
            case .relieved, .inactive, .broken: return
            case .budgetUsed: continue
            case .idle, .resting:
                // Kicks go to the transport's thread, which is the one that is not here. It takes the turn when it is
                // back; until then this one looks by itself.
                retryLocks(worker)
                Thread.sleep(microseconds: 500)
            }
        }
    }
}

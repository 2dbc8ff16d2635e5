import CLinux

/// One thread's loop over descriptors and deadlines. Handlers run on the thread that calls `run`.
///
/// A watch is known by its token; a token is never used twice, so an event that was already fetched for a
/// watch that a handler has just removed finds nobody.
public final class EventLoop {
    public typealias Token = UInt64
    public typealias Handler = (ReadyEvents) -> Void

    private struct Watch {
        let fd: CInt
        var events: ReadyEvents
        let handler: Handler
        /// A file that epoll refuses (regular files): ready at every turn while it is asked for anything.
        let alwaysReady: Bool
    }

    private struct Timer {
        let deadline: UInt64
        let handler: () -> Void
    }

    private let epoll: Epoll
    private var watches: [Token: Watch] = [:]
    private var alwaysReady: [Token] = []
    private var timers: [Token: Timer] = [:]
    private var nextToken: Token = 1
    private var stopped = false

    public init() throws(Errno) { epoll = try Epoll() }

    /// Watches `fd` until `unwatch`; the caller keeps it open as long.
    @discardableResult
    public func watch(_ fd: CInt, _ events: ReadyEvents, _ handler: @escaping Handler) throws(Errno) -> Token {
        let token = nextToken
        nextToken += 1
        var always = false
        do throws(Errno) {
            try epoll.add(fd, events, token: token)
        } catch .notPermitted {
            always = true
            alwaysReady.append(token)
        } catch {
            throw error
        }
        watches[token] = Watch(fd: fd, events: events, handler: handler, alwaysReady: always)
        return token
    }

    /// Changes what the watch waits for; an empty set pauses it (hang-ups and errors are still told).
    public func change(_ token: Token, to events: ReadyEvents) throws(Errno) {
        guard var watch = watches[token], watch.events != events else { return }
        watch.events = events
        watches[token] = watch
        if !watch.alwaysReady { try epoll.modify(watch.fd, events, token: token) }
    }

    public func unwatch(_ token: Token) {
        guard let watch = watches.removeValue(forKey: token) else { return }
        if watch.alwaysReady {
            alwaysReady.removeAll { $0 == token }
        } else {
            // Fails only when the descriptor is closed already, and then epoll has forgotten it.
            try? epoll.remove(watch.fd)
        }
    }

    /// Calls `handler` once, `milliseconds` from now.
    @discardableResult
    public func after(milliseconds: UInt64, _ handler: @escaping () -> Void) -> Token {
        let token = nextToken
        nextToken += 1
        let deadline = Clock.monotonicNanoseconds() &+ milliseconds &* 1_000_000
        timers[token] = Timer(deadline: deadline, handler: handler)
        return token
    }

    public func cancel(_ timer: Token) { timers[timer] = nil }

    /// Runs until `stop`.
    public func run() throws(Errno) {
        stopped = false
        while !stopped { try turn() }
    }

    public func stop() { stopped = true }

    /// One wait and the handlers that it wakes.
    public func turn(atMostMilliseconds limit: CInt = -1) throws(Errno) {
        let ready = alwaysReady.filter { watches[$0]?.events.isEmpty == false }
        let wait = ready.isEmpty ? waitTime(limit) : 0
        var events: [(Token, ReadyEvents)] = []
        try epoll.wait(milliseconds: wait) { events.append(($0, $1)) }
        for (token, event) in events { watches[token]?.handler(event) }
        for token in ready {
            if let watch = watches[token] { watch.handler(watch.events) }
        }
        fireTimers()
    }

    private func waitTime(_ limit: CInt) -> CInt {
        guard let first = timers.values.map({ $0.deadline }).min() else { return limit }
        let now = Clock.monotonicNanoseconds()
        let left = first > now ? (first - now + 999_999) / 1_000_000 : 0
        let wait = CInt(clamping: left)
        return limit < 0 ? wait : min(limit, wait)
    }

    private func fireTimers() {
        guard !timers.isEmpty else { return }
        let now = Clock.monotonicNanoseconds()
        let due = timers.filter { $0.value.deadline <= now }.sorted { $0.value.deadline < $1.value.deadline }
        for (token, timer) in due where timers.removeValue(forKey: token) != nil { timer.handler() }
    }
}

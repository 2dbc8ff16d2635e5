import LinuxSys

/// Carries bytes from one descriptor to another, as fast as the slower of the two and never faster.
///
/// It holds at most one read's worth of bytes. Both descriptors are non-blocking and watched by nobody else. The loop
/// keeps it alive until its end.
final class Relay {
    /// What becomes of the sink at the source's end.
    enum Ending {
        /// A pipe: its reader sees the end when the last writer closes.
        case close
        /// A stream: the other direction stays open.
        case shutdown
        /// A terminal: it has no end to tell.
        case keep
    }

    /// Bytes of one read.
    private static let portion = 256 << 10
    /// Reads before others get their turn.
    private static let turns = 8

    private let loop: EventLoop
    private var source: SharedDescriptor?
    private var sink: SharedDescriptor?
    private let ending: Ending
    private let buffer = PortionBuffer(bytes: portion)
    /// Bytes of it that the sink has.
    private var taken = 0
    private var finished: (() -> Void)?
    private var sourceWatch: EventLoop.Token?
    private var sinkWatch: EventLoop.Token?
    /// What is asked of it.
    private var asked: ReadyEvents = []
    /// Nobody is left who could write: an empty source is at its end.
    private var isDraining = false

    /// Whether it has handed on all that it will.
    var isFinished: Bool { source == nil }

    /// Starts at once; `finished` is called once, at its end, and not after `cancel`.
    init(
        _ loop: EventLoop, from source: SharedDescriptor, to sink: SharedDescriptor, ending: Ending,
        finished: @escaping () -> Void
    ) throws(Errno) {
        self.loop = loop
        self.source = source
        self.sink = sink
        self.ending = ending
        self.finished = finished
        // Nothing asked for: hang-ups and errors are told all the same, so that a reader's leaving is noticed.
        sinkWatch = try loop.watch(sink.raw, []) { [self] events in sinkReady(events) }
        do throws(Errno) {
            try resume()
        } catch {
            close()
            throw error
        }
    }

    /// Hands on what the source holds by now, then ends, be the source at its end or not.
    func drain() {
        isDraining = true
        if !isWaiting { pump() }
    }

    /// Ends at once; what has not been handed on is dropped.
    func cancel() {
        finished = nil
        close()
    }

    private func resume() throws(Errno) {
        guard sourceWatch == nil, let source else { return }
        sourceWatch = try loop.watch(source.raw, .readable) { [self] _ in pump() }
    }

    /// A source that is not asked for anything would still tell its hang-up, again and again: so it is let go of.
    private func pause() {
        if let sourceWatch { loop.unwatch(sourceWatch) }
        sourceWatch = nil
    }

    private func pump() {
        for _ in 0..<Self.turns {
            guard !isWaiting, let source else { return }
            do throws(Errno) {
                taken = 0
                try buffer.fill(from: source.descriptor)
                if buffer.count == 0 { return end() }
                send()
            } catch .wouldBlock {
                if isDraining { end() }
                return
            } catch {
                // A terminal whose other side is closed reads EIO; a stream that was reset is at its end too.
                return end()
            }
        }
        // Nobody wakes a draining relay that took its turns: its source may have no hang-up to tell.
        if isDraining, !isWaiting, source != nil { loop.after(milliseconds: 0) { [self] in pump() } }
    }

    /// Some of what was read waits for the sink.
    private var isWaiting: Bool { taken < buffer.count }

    private func send() {
        guard let sink else { return }
        do throws(Errno) {
            while isWaiting { taken += try buffer.write(to: sink.descriptor, from: taken) }
        } catch .wouldBlock {
            pause()
            watchSink(.writable)
        } catch {
            // Nobody reads any more: the writer is to learn it as from any pipe.
            finish()
        }
    }

    private func sinkReady(_ events: ReadyEvents) {
        guard events.isDisjoint(with: [.error, .hangUp]) else { return finish() }
        guard isWaiting else { return }
        send()
        guard !isWaiting, source != nil else { return }
        watchSink([])
        do throws(Errno) { try resume() } catch { return finish() }
        if isDraining { pump() }
    }

    private func watchSink(_ events: ReadyEvents) {
        guard let sinkWatch, events != asked else { return }
        asked = events
        do throws(Errno) { try loop.change(sinkWatch, to: events) } catch { finish() }
    }

    private func end() {
        // The peer may have gone already, which is no failure.
        if ending == .shutdown, let sink { try? Sockets.shutdownWriting(sink.descriptor) }
        finish()
    }

    private func finish() {
        close()
        let call = finished
        finished = nil
        call?()
    }

    private func close() {
        pause()
        if let sinkWatch { loop.unwatch(sinkWatch) }
        sinkWatch = nil
        source = nil
        sink = nil
    }
}

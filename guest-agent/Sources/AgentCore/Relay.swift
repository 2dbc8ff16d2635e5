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

    /// Bytes of one read. A pipe holds 64 KiB.
    private static let portion = 65536
    /// Reads before others get their turn.
    private static let turns = 8

    private let loop: EventLoop
    private var source: SharedDescriptor?
    private var sink: SharedDescriptor?
    private let ending: Ending
    private var finished: (() -> Void)?
    private var sourceWatch: EventLoop.Token?
    private var sinkWatch: EventLoop.Token?
    private var waiting: [UInt8] = []
    private var taken = 0
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
        if waiting.isEmpty { pump() }
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
            guard waiting.isEmpty, let source else { return }
            do throws(Errno) {
                let bytes = try source.descriptor.read(upTo: Self.portion)
                if bytes.isEmpty { return end() }
                send(bytes)
            } catch .wouldBlock {
                if isDraining { end() }
                return
            } catch {
                // A terminal whose other side is closed reads EIO; a stream that was reset is at its end too.
                return end()
            }
        }
        // Nobody wakes a draining relay that took its turns: its source may have no hang-up to tell.
        if isDraining, waiting.isEmpty, source != nil { loop.after(milliseconds: 0) { [self] in pump() } }
    }

    private func send(_ bytes: [UInt8], from start: Int = 0) {
        guard let sink else { return }
        var done = start
        do throws(Errno) {
            while done < bytes.count { done += try sink.descriptor.write(bytes, from: done) }
            waiting = []
        } catch .wouldBlock {
            waiting = bytes
            taken = done
            pause()
            watchSink(.writable)
        } catch {
            // Nobody reads any more: the writer is to learn it as from any pipe.
            finish()
        }
    }

    private func sinkReady(_ events: ReadyEvents) {
        guard events.isDisjoint(with: [.error, .hangUp]) else { return finish() }
        guard !waiting.isEmpty else { return }
        let bytes = waiting
        waiting = []
        send(bytes, from: taken)
        guard waiting.isEmpty, source != nil else { return }
        watchSink([])
        do throws(Errno) { try resume() } catch { return finish() }
        if isDraining { pump() }
    }

    private func watchSink(_ events: ReadyEvents) {
        guard let sinkWatch else { return }
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
        waiting = []
    }
}

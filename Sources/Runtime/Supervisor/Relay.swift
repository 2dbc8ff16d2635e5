import Glibc
import LinuxSys

/// Moves bytes from one descriptor to another, with back-pressure: it reads again only when all it read is written.
final class Relay {
    enum End: Equatable {
        /// The source ended and everything is written.
        case finished
        /// Nobody reads at the other end any more.
        case sinkGone
    }

    private static let room = 256 << 10

    private let loop: EventLoop
    private let source: Endpoint
    private let sink: Endpoint
    private let ended: (End) -> Void
    private let moved: (Int) -> Void
    private var buffer: [UInt8] = []
    private var written = 0
    private(set) var bytesMoved = 0
    private var sourceToken: EventLoop.Token?
    private var sinkToken: EventLoop.Token?
    private let watchesSink: Bool
    private var sourceEnded = false
    private var stopped = false

    /// - Parameters:
    ///   - watchesSink: ends when the sink hangs up, though nothing is there to be written.
    ///   - moved: called with the number of bytes after each write.
    ///   - ended: called once, when there is nothing left to do.
    init(
        loop: EventLoop, from source: Endpoint, to sink: Endpoint, watchesSink: Bool = false,
        moved: @escaping (Int) -> Void = { _ in }, ended: @escaping (End) -> Void
    ) throws(Errno) {
        self.watchesSink = watchesSink
        self.loop = loop
        self.source = source
        self.sink = sink
        self.moved = moved
        self.ended = ended
        try watchSource()
        try watchSink()
        look()
    }

    /// Nothing asked for: hang-ups and errors are told all the same.
    private func watchSink() throws(Errno) {
        guard watchesSink, sinkToken == nil else { return }
        sinkToken = try loop.watch(sink.raw, []) { [weak self] _ in self?.finish(.sinkGone) }
    }

    /// Reads without having been told that there is something, where that may not be told.
    private func look() {
        if source.mayHideItsEnd { loop.after(milliseconds: 0) { [weak self] in self?.fill() } }
    }

    private func watchSource() throws(Errno) {
        sourceToken = try loop.watch(source.raw, .readable) { [weak self] _ in self?.fill() }
    }

    /// The sink has not taken all that was read.
    var isStuck: Bool { !stopped && written < buffer.count }

    /// Stops at once; `ended` is not called any more.
    func stop() {
        stopped = true
        if let sourceToken { loop.unwatch(sourceToken) }
        if let sinkToken { loop.unwatch(sinkToken) }
        sourceToken = nil
        sinkToken = nil
    }

    private func fill() {
        guard written == buffer.count, !sourceEnded, !stopped else { return }
        do throws(Errno) {
            buffer = try source.read(upTo: Self.room)
            written = 0
            if buffer.isEmpty { sourceEnded = true }
        } catch .wouldBlock {
            return
        } catch {
            // EIO is how a terminal ends, a reset how a stream ends whose peer died: nothing more will come.
            buffer = []
            written = 0
            sourceEnded = true
        }
        drain()
    }

    private func drain() {
        guard !stopped else { return }
        do throws(Errno) {
            while written < buffer.count {
                let count = try sink.write(buffer, from: written)
                written += count
                bytesMoved += count
                moved(count)
            }
        } catch .wouldBlock {
            pause()
            return
        } catch {
            finish(.sinkGone)
            return
        }
        if sourceEnded {
            finish(.finished)
            return
        }
        resume()
    }

    private func pause() {
        // Not only paused: a source that has hung up would wake the loop without end until the sink takes the rest.
        if let sourceToken { loop.unwatch(sourceToken) }
        sourceToken = nil
        if watchesSink, let sinkToken {
            loop.unwatch(sinkToken)
            self.sinkToken = nil
        }
        if sinkToken == nil {
            sinkToken = try? loop.watch(sink.raw, .writable) { [weak self] _ in self?.drain() }
            // Without a watch it would never go on.
            if sinkToken == nil { finish(.sinkGone) }
        }
    }

    private func resume() {
        if let sinkToken { loop.unwatch(sinkToken) }
        sinkToken = nil
        look()
        do throws(Errno) {
            try watchSink()
            if sourceToken == nil { try watchSource() }
        } catch {
            finish(.sinkGone)
        }
    }

    private func finish(_ end: End) {
        stop()
        ended(end)
    }
}

import Glibc
import LinuxSys

/// A client's end of a conversation over D-Bus: one call at a time, with an end to its patience.
public final class DBusConnection {
    /// Signals that are kept while an answer is waited for.
    private static let mostSignals = 1024
    private static let longestLine = 1024
    /// Of the messages that may come before the one that is waited for.
    private static let mostMessages = 100_000

    private let socket: SharedDescriptor
    private let end: UInt64
    private var input: [UInt8] = []
    private var serial: UInt32 = 0
    private var seen = 0
    private var signals: [DBusMessage] = []
    /// The member of the signals that are kept.
    private let watched: String

    /// Introduces this user (SASL's EXTERNAL).
    /// - Parameters:
    ///   - milliseconds: for all that is said over it
    ///   - watching: the name of the signals that `signal` will be asked for; others are dropped
    public init(_ socket: consuming FileDescriptor, milliseconds: UInt64, watching: String) throws(DBusError) {
        self.socket = SharedDescriptor(socket)
        end = Clock.monotonicNanoseconds() + milliseconds * 1_000_000
        watched = watching
        let user = String(getuid()).utf8.map { String($0, radix: 16) }.joined()
        // BEGIN goes along, as sd-bus sends it: systemd reads 256 bytes of this at a time, and a first call that lands in
        // the same read as BEGIN is looked at when the next one comes, and not before.
        try send([0] + Array("AUTH EXTERNAL \(user)\r\nBEGIN\r\n".utf8))
        let answer = try line()
        guard answer.hasPrefix("OK") else { throw .authentication(answer) }
    }

    /// Calls a method and waits for its answer.
    public func call(_ call: DBusMessage) throws(DBusError) -> DBusMessage {
        serial += 1
        var call = call
        call.serial = serial
        let bytes = call.bytes
        guard bytes.count <= DBusMessage.longest else { throw .malformed("a call of \(bytes.count) bytes") }
        try send(bytes)
        while true {
            let message = try next()
            switch message.kind {
            case .answer where message.answered == serial: return message
            case .error where message.answered == serial:
                var words = ""
                if case .string(let text)? = try message.arguments().first { words = text }
                throw .refused(name: message.errorName ?? "an error without a name", message: words)
            case .signal: try keep(message)
            case .call, .answer, .error: continue
            }
        }
    }

    /// The first signal that was watched for and is `wanted`, come or to come.
    public func signal(
        where wanted: (DBusMessage) throws(DBusError) -> Bool
    ) throws(DBusError) -> DBusMessage {
        while !signals.isEmpty {
            let message = signals.removeFirst()
            if try wanted(message) { return message }
        }
        while true {
            let message = try next()
            if message.kind == .signal, message.member == watched, try wanted(message) { return message }
        }
    }

    private func keep(_ message: DBusMessage) throws(DBusError) {
        guard message.member == watched else { return }
        guard signals.count < Self.mostSignals else { throw .malformed("too many signals") }
        signals.append(message)
    }

    // MARK: Bytes

    private func next() throws(DBusError) -> DBusMessage {
        while true {
            seen += 1
            guard seen <= Self.mostMessages else { throw .malformed("too many messages") }
            var length = try DBusMessage.length(input)
            while length.map({ input.count < $0 }) ?? true {
                try receive()
                length = try DBusMessage.length(input)
            }
            let bytes = Array(input.prefix(length ?? 0))
            input.removeFirst(bytes.count)
            if let message = try DBusMessage.decode(bytes) { return message }
        }
    }

    private func line() throws(DBusError) -> String {
        while true {
            if let feed = input.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: input[..<feed], as: UTF8.self)
                input.removeFirst(feed + 1)
                return String(line.unicodeScalars.filter { $0.isASCII && $0.value >= 32 && $0.value < 127 })
            }
            guard input.count < Self.longestLine else { throw .malformed("a line without an end") }
            try receive()
        }
    }

    private func receive() throws(DBusError) {
        // Here too: who never stops to talk is never waited for.
        guard Clock.monotonicNanoseconds() < end else { throw .timedOut }
        let part: [UInt8]
        do throws(Errno) { part = try Sockets.receiveNow(upTo: 1 << 16, from: socket.descriptor) } catch .wouldBlock {
            return try wait(for: POLLIN)
        } catch {
            throw .system("reading its answer: \(error)")
        }
        guard !part.isEmpty else { throw .closed }
        input += part
    }

    private func send(_ bytes: [UInt8]) throws(DBusError) {
        var done = 0
        while done < bytes.count {
            do throws(Errno) {
                done += try Sockets.sendNow(bytes, from: done, over: socket.descriptor)
            } catch .wouldBlock {
                try wait(for: POLLOUT)
            } catch .brokenPipe {
                throw .closed
            } catch {
                throw .system("writing to it: \(error)")
            }
        }
    }

    private func wait(for event: CInt) throws(DBusError) {
        let now = Clock.monotonicNanoseconds()
        guard now < end else { throw .timedOut }
        var waiting = pollfd(fd: socket.raw, events: Int16(event), revents: 0)
        // Rounded up, so that it does not turn round and round in the last millisecond.
        let milliseconds = min((end - now) / 1_000_000 + 1, UInt64(CInt.max))
        guard poll(&waiting, 1, CInt(milliseconds)) < 0, errno != EINTR else { return }
        throw .system("waiting for it: \(Errno.current)")
    }
}

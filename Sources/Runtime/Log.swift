import Glibc
import JSON
import LinuxSys
import Logging
import Synchronization

/// Where messages for people and for callers go: one line on stderr, or runc's log formats in the file of `--log`.
public struct Log: Sendable {
    public enum Format: String, CaseIterable, Sendable { case text, json }

    private let logger: Logger?
    public let isDebug: Bool

    /// - Throws: when the file can't be opened.
    public init(file: String?, format: Format, debug: Bool) throws(RuntimeError) {
        isDebug = debug
        guard let file, !file.isEmpty else {
            logger = nil
            return
        }
        let descriptor: SharedDescriptor
        do throws(Errno) {
            descriptor = SharedDescriptor(try FileDescriptor.open(file, O_WRONLY | O_CREAT | O_APPEND, mode: 0o644))
        } catch {
            throw RuntimeError("can't open the log \(file): \(error)")
        }
        var logger = Logger(label: "kvm-runtime") { _ in FileLogHandler(descriptor: descriptor, format: format) }
        logger.logLevel = debug ? .debug : .info
        self.logger = logger
    }

    /// An error: on stderr always, and in the log.
    public func error(_ error: RuntimeError) {
        logger?.error("\(error.description)")
        var text = "kvm-runtime: \(error.description)\n"
        for line in error.console { text += "  guest: \(line)\n" }
        Output.error(text)
    }

    /// A debug message, with `--debug`: to the log if there is one, else to stderr.
    public func debug(_ message: @autoclosure () -> String) {
        guard isDebug else { return }
        let text = message()
        if let logger { logger.debug("\(text)") } else { Output.error("kvm-runtime: debug: \(text)\n") }
    }

    /// A warning goes to the log if there is one, else to stderr.
    public func warning(_ message: String) {
        if let logger { logger.warning("\(message)") } else { Output.error("kvm-runtime: warning: \(message)\n") }
    }
}

/// Lines in the form of runc's `--log-format`.
struct FileLogHandler: LogHandler {
    let descriptor: SharedDescriptor
    let format: Log.Format
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()

    init(descriptor: SharedDescriptor, format: Log.Format) {
        self.descriptor = descriptor
        self.format = format
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let line = Self.line(
            level: event.level.rawValue, message: event.message.description, time: Timestamp.now(), format: format)
        _ = try? descriptor.descriptor.write(Array(line.utf8))
    }

    static func line(level: String, message: String, time: String, format: Log.Format) -> String {
        switch format {
        case .json:
            let value: JSONValue = ["level": .string(level), "msg": .string(message), "time": .string(time)]
            return value.text() + "\n"
        case .text:
            let quoted = JSONValue.string(message).text()
            return "time=\"\(time)\" level=\(level) msg=\(quoted)\n"
        }
    }
}

/// The command's own stdout and stderr.
public enum Output {
    private static let failed = Mutex<Errno?>(nil)
    /// Why something that was printed is not on stdout.
    public static var failure: Errno? { failed.withLock { $0 } }

    public static func print(_ text: String) {
        do throws(Errno) { try write(text, 1) } catch {
            failed.withLock { $0 = $0 ?? error }
        }
    }

    /// Nobody is left to tell when stderr itself fails.
    public static func error(_ text: String) { try? write(text, 2) }

    private static func write(_ text: String, _ number: CInt) throws(Errno) {
        try FileDescriptor.duplicate(of: number).writeAll(Array(text.utf8))
    }
}

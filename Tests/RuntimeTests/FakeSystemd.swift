import Foundation
import LinuxSys
import Synchronization

@testable import DBus
@testable import Runtime

/// A socket with someone behind it who says, on each connection, what the test has written down, and keeps what is said.
final class FakeSystemd: Sendable {
    private let heard = Mutex<[[UInt8]]>([])
    private let ended = DispatchSemaphore(value: 0)
    let systemd: Systemd

    init(_ directory: String, hasBus: Bool = false, milliseconds: UInt64 = 3000, _ scripts: [[DBusMessage]]) throws {
        let listener = SharedDescriptor(
            try Sockets.listen(at: "systemd", in: try FileDescriptor.directory(directory)))
        systemd = Systemd(
            endpoints: [.init(path: directory + "/systemd", hasBus: hasBus)], milliseconds: milliseconds)
        let said = scripts.map { Array("OK 1234\r\n".utf8) + $0.flatMap(\.bytes) }
        Thread { self.serve(listener, said) }.start()
    }

    private func serve(_ listener: SharedDescriptor, _ said: [[UInt8]]) {
        for bytes in said {
            guard let client = Self.accept(listener) else { break }
            try? client.writeAll(bytes)
            let all = (try? client.readAll(limit: 1 << 20)) ?? []
            heard.withLock { $0.append(all) }
        }
        ended.signal()
    }

    private static func accept(_ listener: SharedDescriptor) -> FileDescriptor? {
        for _ in 0..<3000 {
            if let client = try? Sockets.accept(listener.descriptor) {
                try? client.setNonBlocking(false)
                return client
            }
            usleep(1000)
        }
        return nil
    }

    /// The calls on each connection, when all are over.
    func calls() throws -> [[DBusMessage]] {
        ended.wait()
        return try heard.withLock { $0 }.map { bytes in
            guard let begin = bytes.firstRange(of: Array("BEGIN\r\n".utf8)) else { return [] }
            var rest = Array(bytes[begin.upperBound...])
            var calls: [DBusMessage] = []
            while let length = try DBusMessage.length(rest), length <= rest.count {
                if let call = try DBusMessage.decode(Array(rest.prefix(length))) { calls.append(call) }
                rest.removeFirst(length)
            }
            return calls
        }
    }
}

extension DBusMessage {
    static func answer(_ serial: UInt32, _ arguments: [DBusValue] = []) -> DBusMessage {
        var message = DBusMessage(.answer, arguments)
        message.answered = serial
        return message
    }

    static func error(_ serial: UInt32, _ name: String, _ words: String = "no") -> DBusMessage {
        var message = DBusMessage(.error, [.string(words)])
        message.answered = serial
        message.errorName = "org.freedesktop.systemd1." + name
        return message
    }

    static func jobRemoved(_ job: String, _ result: String, sender: String? = nil) -> DBusMessage {
        var message = DBusMessage(.signal, [.uint32(1), .path(job), .string("u.scope"), .string(result)])
        message.path = "/org/freedesktop/systemd1"
        message.interface = "org.freedesktop.systemd1.Manager"
        message.member = "JobRemoved"
        message.sender = sender
        return message
    }
}

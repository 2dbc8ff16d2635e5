import Glibc
import LinuxSys

/// Messages on their way over a socket that does not block: those that it does not take yet wait here, in their order.
final class OutgoingMessages {
    /// Bytes that may wait for somebody who does not read.
    static let most = 4 << 20

    private let socket: SharedDescriptor
    /// Told whether `flush` is to be called when the socket takes more: it is watched for what comes in by its owner, and a loop
    /// watches a descriptor once.
    var awaitsRoom: (Bool) -> Void = { _ in }
    private var waiting: ArraySlice<[UInt8]> = []
    /// Bytes in them.
    private(set) var backlog = 0
    /// Nothing is sent any more.
    private var isOver = false

    /// - Parameter socket: one that doesn't block.
    init(_ socket: SharedDescriptor) { self.socket = socket }

    /// Sends it, or keeps it until the socket takes it. A peer that has gone is no error here: reading tells. One that takes too
    /// little is left to itself: it reads what it was sent so far, and then the end, for it is not to take a part for the whole.
    func send(_ message: [UInt8]) {
        guard !isOver else { return }
        if waiting.isEmpty, put(message) { return }
        guard !isOver else { return }
        waiting.append(message)
        backlog += message.count
        if backlog > Self.most { giveUp() } else { awaitsRoom(true) }
    }

    /// Waits for the socket to take what is left, for at most so long. For the last word: nobody runs the loop any more.
    func drain(milliseconds: Int32) {
        let deadline = Clock.monotonicNanoseconds() + UInt64(milliseconds) * 1_000_000
        while !waiting.isEmpty {
            let now = Clock.monotonicNanoseconds()
            guard now < deadline else { return giveUp() }
            var writable = pollfd(fd: socket.raw, events: Int16(POLLOUT), revents: 0)
            _ = poll(&writable, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1))
            flush()
        }
    }

    /// Whether the socket has taken it, or nobody ever will.
    private func put(_ message: [UInt8]) -> Bool {
        do throws(Errno) {
            _ = try Sockets.send(message, descriptors: [], over: socket.descriptor)
        } catch .wouldBlock {
            return false
        } catch .interrupted {
            return false
        } catch .messageTooLong {
            giveUp()
        } catch {
            end()
        }
        return true
    }

    /// Sends what the socket takes of what waits.
    func flush() {
        while let message = waiting.first, put(message) {
            guard !isOver else { return }
            backlog -= message.count
            waiting.removeFirst()
        }
        if waiting.isEmpty { awaitsRoom(false) }
    }

    /// The peer reads what it has, then the end; so does the socket's owner.
    private func giveUp() {
        end()
        try? Sockets.shutdownBoth(socket.descriptor)
    }

    private func end() {
        isOver = true
        waiting = []
        backlog = 0
        awaitsRoom(false)
    }
}

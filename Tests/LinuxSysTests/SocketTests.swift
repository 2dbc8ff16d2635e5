import Glibc
import LinuxSys
import Testing

struct SocketTests {
    /// One message: its bytes, and what the first descriptor that came with it reads, if any.
    private struct Message {
        var bytes: [UInt8] = []
        var descriptors: [SharedDescriptor] = []
        var truncated = false
    }

    private func receive(_ socket: borrowing FileDescriptor, room: Int, size: Int = 64) throws -> Message {
        var buffer = [UInt8](repeating: 0, count: size)
        var message = Message()
        let count = try buffer.withUnsafeMutableBytes { bytes in
            let received = try Sockets.receive(into: bytes, room: room, from: socket)
            message.descriptors = received.descriptors
            message.truncated = received.truncated
            return received.count
        }
        message.bytes = Array(buffer.prefix(count))
        return message
    }

    @Test func stream() throws {
        let pair = try Sockets.pair()
        try pair.first.writeAll(Array("to second".utf8))
        try pair.second.writeAll(Array("to first".utf8))
        #expect(text(try pair.second.read(upTo: 100)) == "to second")
        #expect(text(try pair.first.read(upTo: 100)) == "to first")
        try Sockets.shutdownWriting(pair.first)
        #expect(try pair.second.read(upTo: 1) == [])
        try pair.second.writeAll([7])
        #expect(try pair.first.read(upTo: 1) == [7])
        #expect(fcntl(pair.first.raw, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test("packets keep their borders")
    func packets() throws {
        let pair = try Sockets.pair(.packets, nonBlocking: true)
        #expect(errno { _ = try pair.second.read(upTo: 1) } == .wouldBlock)
        try Sockets.send([1, 2, 3], descriptors: [], over: pair.first)
        try Sockets.send([4], descriptors: [], over: pair.first)
        #expect(try pair.second.read(upTo: 2) == [1, 2])
        #expect(try pair.second.read(upTo: 100) == [4])
    }

    @Test("descriptors travel with a message, close-on-exec")
    func descriptors() throws {
        let pair = try Sockets.pair(.packets)
        let pipe = try Pipes.make()
        try Sockets.send([42], descriptors: [pipe.writer.raw, pipe.reader.raw], over: pair.first)
        let message = try receive(pair.second, room: 2)
        #expect(message.bytes == [42] && !message.truncated)
        try #require(message.descriptors.count == 2)
        try message.descriptors[0].descriptor.writeAll(Array("through".utf8))
        #expect(text(try message.descriptors[1].descriptor.read(upTo: 100)) == "through")
        #expect(message.descriptors.allSatisfy { fcntl($0.raw, F_GETFD) & FD_CLOEXEC != 0 })
    }

    @Test("descriptors that don't fit are closed, and it is said", arguments: [0, 1])
    func truncated(room: Int) throws {
        let pair = try Sockets.pair()
        let reader = try sendWriters(3, over: pair.first)
        var message = try receive(pair.second, room: room)
        #expect(message.truncated && message.descriptors.count == room)
        message.descriptors = []
        // No writer is left anywhere.
        #expect(try reader.read(upTo: 1) == [])
    }

    /// Sends the writing end of a pipe `count` times and keeps none; the non-blocking reading end.
    private func sendWriters(_ count: Int, over socket: borrowing FileDescriptor) throws -> FileDescriptor {
        let pipe = try Pipes.make()
        try Sockets.send([1], descriptors: [CInt](repeating: pipe.writer.raw, count: count), over: socket)
        try pipe.reader.setNonBlocking()
        return try pipe.reader.duplicate()
    }

    @Test func tooManyDescriptors() throws {
        let pair = try Sockets.pair()
        let many = [CInt](repeating: 0, count: 65)
        #expect(errno { try Sockets.send([1], descriptors: many, over: pair.first) } == .invalidArgument)
        #expect(errno { try Sockets.send([1], descriptors: [-1], over: pair.first) } == .badFileDescriptor)
    }

    @Test("a socket's directory may have a name that no socket address holds")
    func longDirectory() throws {
        try inScratch { path in
            let deep =
                path + "/" + [String](repeating: String(repeating: "d", count: 200), count: 3).joined(separator: "/")
            try File.makeDirectories(deep, mode: 0o700)
            let directory = try FileDescriptor.directory(deep)
            let listener = try Sockets.listen(at: "s.sock", in: directory)
            #expect(File.mode(deep + "/s.sock") == mode_t(S_IFSOCK) | 0o600)
            #expect(try Sockets.accept(listener) == nil)
            let client = try Sockets.connect(to: "s.sock", in: directory)
            let second = try Sockets.connectAtOnce(to: "s.sock", in: directory)
            guard let server = try Sockets.accept(listener), let other = try Sockets.accept(listener) else {
                Issue.record("no connection")
                return
            }
            try client.writeAll([5])
            #expect(try server.read(upTo: 1) == [5])
            #expect(errno { _ = try server.read(upTo: 1) } == .wouldBlock)
            #expect(errno { _ = try second.read(upTo: 1) } == .wouldBlock)
            withExtendedLifetime(other) {}
            #expect(errno { _ = try Sockets.listen(at: "s.sock", in: directory) }?.rawValue == EADDRINUSE)
            #expect(errno { _ = try Sockets.connect(to: deep + "/s.sock") } == .tooLong)
        }
    }

    @Test("the process's umask is left alone")
    func mask() throws {
        try inScratch { path in
            let before = try File.read("/proc/self/status", limit: 1 << 20)
            _ = try Sockets.listen(at: "s", in: try FileDescriptor.directory(path), .packets)
            #expect(File.mode(path + "/s") == mode_t(S_IFSOCK) | 0o600)
            let line = { (status: [UInt8]) in text(status).split(separator: "\n").first { $0.hasPrefix("Umask") } }
            #expect(line(before) == line(try File.read("/proc/self/status", limit: 1 << 20)))
        }
    }

    @Test func nobodyListens() throws {
        try inScratch { path in
            let directory = try FileDescriptor.directory(path)
            #expect(errno { _ = try Sockets.connect(to: "s", in: directory) } == .noSuchFile)
            _ = try Sockets.listen(at: "s", in: directory)
            #expect(errno { _ = try Sockets.connect(to: "s", in: directory) } == .connectionRefused)
            #expect(errno { _ = try Sockets.connectAtOnce(to: "s", in: directory) } == .connectionRefused)
        }
    }

    @Test("a full backlog does not make connectAtOnce wait")
    func backlog() throws {
        try inScratch { path in
            let directory = try FileDescriptor.directory(path)
            let listener = try Sockets.listen(at: "s", in: directory, backlog: 1)
            var clients: [SharedDescriptor] = []
            var failure: Errno?
            while failure == nil, clients.count < 10 {
                failure = errno { clients.append(SharedDescriptor(try Sockets.connectAtOnce(to: "s", in: directory))) }
            }
            #expect(failure == .wouldBlock)
            withExtendedLifetime(listener) {}
        }
    }

    @Test("reading and writing now don't wait on a socket that blocks, and end without a signal")
    func now() throws {
        let pair = try Sockets.pair()
        #expect(errno { _ = try Sockets.receiveNow(upTo: 10, from: pair.first) } == .wouldBlock)
        let bytes = [UInt8](repeating: 1, count: 1 << 20)
        var sent = 0
        let full = errno {
            while sent < bytes.count { sent += try Sockets.sendNow(bytes, from: sent, over: pair.first) }
        }
        #expect(full == .wouldBlock && sent > 0)
        #expect(try Sockets.receiveNow(upTo: 10, from: pair.second) == [UInt8](repeating: 1, count: 10))
        #expect(fcntl(pair.first.raw, F_GETFL) & O_NONBLOCK == 0)
        try Sockets.shutdownReading(pair.second)
        #expect(errno { _ = try Sockets.sendNow([1], from: 0, over: pair.first) } == .brokenPipe)
        #expect(errno { try Sockets.send([1], descriptors: [], over: pair.first) } == .brokenPipe)
    }
}

import Glibc
import LinuxSys
import Testing

@testable import Runtime

struct EndpointTests {
    private func isNonBlocking(_ number: CInt) -> Bool { fcntl(number, F_GETFL) & O_NONBLOCK != 0 }

    @Test("a caller's pipe is read and written without waiting, and its own flags stay as they were")
    func pipe() throws {
        let pipe = try Pipes.make()
        let source = try Endpoint.inherited(pipe.reader.raw, writing: false)
        let sink = try Endpoint.inherited(pipe.writer.raw, writing: true)
        #expect(errno { _ = try source.read(upTo: 1) } == .wouldBlock)
        let bytes = [UInt8](repeating: 3, count: 1 << 20)
        var written = 0
        #expect(
            errno { while written < bytes.count { written += try sink.write(bytes, from: written) } } == .wouldBlock)
        #expect(written > 0 && written < bytes.count)
        #expect(try source.read(upTo: 2) == [3, 3])
        #expect(!isNonBlocking(pipe.reader.raw) && !isNonBlocking(pipe.writer.raw))
    }

    @Test("so is a caller's socket")
    func socket() throws {
        let pair = try Sockets.pair()
        let endpoint = try Endpoint.inherited(pair.first.raw, writing: true)
        #expect(errno { _ = try endpoint.read(upTo: 1) } == .wouldBlock)
        let bytes = [UInt8](repeating: 3, count: 8 << 20)
        var written = 0
        #expect(
            errno { while written < bytes.count { written += try endpoint.write(bytes, from: written) } } == .wouldBlock
        )
        try pair.second.writeAll([9])
        #expect(try endpoint.read(upTo: 10) == [9])
        #expect(!isNonBlocking(pair.first.raw))
    }

    @Test("a file keeps its place and its way of being written")
    func file() throws {
        try inScratch { path in
            let file = try FileDescriptor.open(path + "/file", O_RDWR | O_CREAT | O_APPEND, mode: 0o600)
            try file.writeAll(Array("before ".utf8))
            let endpoint = try Endpoint.inherited(file.raw, writing: true)
            lseek(file.raw, 0, Int32(SEEK_SET))
            let bytes = [UInt8](repeating: 120, count: 10_000)
            var written = 0
            while written < bytes.count { written += try endpoint.write(bytes, from: written) }
            #expect(try File.read(path + "/file", limit: 20_000) == Array("before ".utf8) + bytes)
            lseek(file.raw, 3, Int32(SEEK_SET))
            let source = try Endpoint.inherited(file.raw, writing: false)
            #expect(text(try source.read(upTo: 4)) == "ore ")
            #expect(!isNonBlocking(file.raw))
        }
    }

    @Test("what can't be opened anew is written only while it is ready")
    func careful() async throws {
        // An eventfd can't, and one that is nearly full makes its writer wait.
        let event = SharedDescriptor(try EventDescriptor().descriptor.duplicate())
        try event.descriptor.setNonBlocking(false)
        let rescue = Task.detached {
            try await Task.sleep(for: .seconds(5))
            _ = try event.descriptor.read(upTo: 8)
        }
        let endpoint = try Endpoint.inherited(event.raw, writing: true)
        #expect(try endpoint.write([254, 255, 255, 255, 255, 255, 255, 255], from: 0) == 8)
        let refused = errno { _ = try endpoint.write([1, 0, 0, 0, 0, 0, 0, 0], from: 0) }
        rescue.cancel()
        #expect(refused == .wouldBlock)
    }

    @Test("our own becomes non-blocking")
    func own() throws {
        let pipe = try Pipes.make()
        let endpoint = try Endpoint(own: try pipe.reader.duplicate())
        #expect(isNonBlocking(endpoint.raw))
        #expect(errno { _ = try endpoint.read(upTo: 1) } == .wouldBlock)
    }

    @Test func devices() throws {
        let null = try FileDescriptor.open("/dev/null", O_RDWR)
        #expect(try Endpoint.inherited(null.raw, writing: false).read(upTo: 10) == [])
        #expect(try Endpoint.inherited(null.raw, writing: true).write([1, 2], from: 0) == 2)
        #expect(errno { _ = try Endpoint.inherited(-1, writing: true) } == .badFileDescriptor)
    }
}

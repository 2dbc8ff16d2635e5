import Glibc
import LinuxSys
import Testing

struct FileDescriptorTests {
    /// A second descriptor of a pipe's reading end; both ends themselves are gone when this returns.
    private func orphanedReader() throws -> FileDescriptor {
        let pipe = try Pipes.make()
        try pipe.writer.writeAll(Array("left".utf8))
        let reader = try pipe.reader.duplicate()
        try reader.setNonBlocking()
        return reader
    }

    @Test("a descriptor is closed when its owner goes")
    func closedWithItsOwner() throws {
        let reader = try orphanedReader()
        #expect(try reader.read(upTo: 100) == Array("left".utf8))
        // With a writer left it would be EAGAIN.
        #expect(try reader.read(upTo: 100) == [])
    }

    @Test("a shared descriptor is closed with the last of its holders")
    func shared() throws {
        var pipe = try LoosePipe()
        try pipe.reader?.descriptor.setNonBlocking()
        var holders = [try #require(pipe.writer)]
        pipe.writer = nil
        holders.append(holders[0])
        holders.removeFirst()
        #expect(errno { _ = try pipe.rest() } == .wouldBlock)
        holders.removeFirst()
        #expect(try pipe.rest() == "")
    }

    @Test("a released number stays open")
    func release() throws {
        let pipe = try Pipes.make()
        let number = try pipe.writer.duplicate().release()
        #expect(fcntl(number, F_GETFD) >= 0)
        #expect(close(number) == 0)
    }

    @Test("everything is closed on exec")
    func closeOnExec() throws {
        let pipe = try Pipes.make()
        let file = try FileDescriptor.open("/dev/null", O_RDONLY)
        let copy = try file.duplicate()
        let directory = try FileDescriptor.directory("/proc/self")
        let below = try directory.open(at: "stat", O_RDONLY)
        for number in [pipe.reader.raw, pipe.writer.raw, file.raw, copy.raw, directory.raw, below.raw] {
            #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
        }
        #expect(copy.raw >= 3)
    }

    @Test func failures() throws {
        #expect(errno { _ = try FileDescriptor.open("/nonexistent/file", O_RDONLY) } == .noSuchFile)
        #expect(errno { _ = try FileDescriptor.directory("/proc/self/stat") } == .notDirectory)
        #expect(errno { _ = try FileDescriptor.duplicate(of: -1) } == .badFileDescriptor)
        let reading = try FileDescriptor.open("/dev/null", O_RDONLY)
        #expect(errno { _ = try reading.write([1]) } == .badFileDescriptor)
    }

    @Test func nonBlocking() throws {
        let pipe = try Pipes.make()
        try pipe.reader.setNonBlocking()
        #expect(errno { _ = try pipe.reader.read(upTo: 1) } == .wouldBlock)
        try pipe.reader.setNonBlocking(false)
        #expect(fcntl(pipe.reader.raw, F_GETFL) & O_NONBLOCK == 0)
    }

    @Test("a partial write begins at its offset")
    func offset() throws {
        let pipe = try Pipes.make()
        #expect(try pipe.writer.write(Array("abcdef".utf8), from: 4) == 2)
        #expect(try pipe.writer.write(Array("abcdef".utf8), from: 6) == 0)
        #expect(try pipe.reader.read(upTo: 10) == Array("ef".utf8))
    }

    @Test("what is read to the end has a limit", arguments: [0, 1, 65535, 65536, 65537, 200_000])
    func limits(size: Int) throws {
        try inScratch { path in
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try FileDescriptor.open(path + "/file", O_WRONLY | O_CREAT, mode: 0o600).writeAll(bytes)
            #expect(try File.read(path + "/file", limit: size) == bytes)
            #expect(try File.read(path + "/file", limit: .max) == bytes)
            #expect(try FileDescriptor.open(path + "/file", O_RDONLY).size() == UInt64(size))
            guard size > 0 else { return }
            #expect(errno { _ = try File.read(path + "/file", limit: size - 1) } == .messageTooLong)
        }
    }

    @Test func errorNumbers() {
        #expect("\(Errno.noSuchFile)" == "No such file or directory")
        #expect("\(Errno(rawValue: 9999))" == "unknown error")
        var calls = 0
        let result = try? retrying { () -> Int in
            calls += 1
            Glibc.errno = EINTR
            return calls < 3 ? -1 : 7
        }
        #expect(result == 7)
        #expect(
            errno {
                _ = try once { () -> Int in
                    Glibc.errno = EINTR; return -1
                }
            } == .interrupted)
    }
}

import Glibc
import LinuxSys
import Testing
import VMMWire

@testable import VirtioVsock

extension FakeGuest {
    /// A client of `vsock.sock` that has said where it wants to go.
    func client(port: UInt32) throws -> FileDescriptor {
        let socket = try Sockets.connect(to: path + "/" + VsockSocketName.toGuest)
        try socket.setNonBlocking()
        try socket.writeAll(VsockConnectRequest(port: port).bytes)
        return socket
    }

    /// A connection from the host to `port`, with the guest's consent.
    func connected(port: UInt32 = 1000, window: UInt32 = 65536) throws -> (FileDescriptorBox, GuestEnd) {
        let socket = try client(port: port)
        let packets = try receive()
        let request = try #require(packets.last)
        try #require(request.operation == .request)
        let end = GuestEnd(guest: port, host: request.header.sourcePort, window: window)
        try send(end.packet(.response))
        try #require(try socket.read(upTo: 100) == VsockConnectReply.connected.bytes)
        return (FileDescriptorBox(socket), end)
    }

    /// A connection from the guest to `port`, where somebody listens.
    func accepted(port: UInt32 = 77, from guestPort: UInt32 = 5000) throws -> (FileDescriptorBox, GuestEnd) {
        let directory = try FileDescriptor.directory(path)
        let listener = try Sockets.listen(at: VsockSocketName.fromGuest(port: port), in: directory)
        defer { remove(path + "/" + VsockSocketName.fromGuest(port: port)) }
        let end = GuestEnd(guest: guestPort, host: port)
        try send(end.packet(.request))
        let answer = try #require(try receive().last)
        try #require(answer.operation == .response)
        guard let socket = try Sockets.accept(listener) else { throw Errno.connectionRefused }
        return (FileDescriptorBox(socket), end)
    }
}

/// A descriptor in a tuple.
final class FileDescriptorBox {
    private var descriptor: FileDescriptor?
    var raw: CInt { descriptor?.raw ?? -1 }

    init(_ descriptor: consuming FileDescriptor) { self.descriptor = consume descriptor }

    func close() { descriptor = nil }

    /// What is there; nil when there is nothing yet, empty at the end.
    func read(upTo count: Int = 1 << 20) throws -> [UInt8]? {
        do throws(Errno) { return try descriptor?.read(upTo: count) ?? [] } catch .wouldBlock { return nil } catch {
            throw error
        }
    }

    /// How many bytes of it were taken.
    func write(_ bytes: [UInt8]) throws -> Int {
        guard let number = descriptor?.raw else { throw Errno.badFileDescriptor }
        let copy = try FileDescriptor.duplicate(of: number)
        do throws(Errno) { return try Sockets.sendNow(bytes, from: 0, over: copy) } catch .wouldBlock { return 0 } catch
        {
            throw error
        }
    }

    func shutdownWriting() throws {
        try Sockets.shutdownWriting(FileDescriptor.duplicate(of: raw))
    }
}

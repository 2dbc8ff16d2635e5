import LinuxSys
import Testing
import VMMWire
import Virtio

@testable import VirtioVsock

@Suite struct ConnectTests {
    @Test func fromTheHost() throws {
        let guest = try FakeGuest()
        let socket = try guest.client(port: 1000)
        let packets = try guest.receive()
        try #require(packets.count == 1)
        let header = packets[0].header
        #expect(header.operation == 1 && header.type == 1 && header.length == 0)
        #expect(header.sourceCID == 2 && header.destinationCID == FakeGuest.cid && header.destinationPort == 1000)
        #expect(header.bufferSize == ConnectionTable.wideWindow && header.forwardCount == 0)
        #expect(throws: Errno.wouldBlock) { try socket.read(upTo: 4) }
        try guest.send(GuestEnd(guest: 1000, host: header.sourcePort).packet(.response))
        #expect(try socket.read(upTo: 4) == VsockConnectReply.connected.bytes)
    }

    @Test func refusedByTheGuest() throws {
        let guest = try FakeGuest()
        let socket = try guest.client(port: 1000)
        let host = try #require(try guest.receive().first).header.sourcePort
        try guest.send(GuestEnd(guest: 1000, host: host).packet(.reset))
        #expect(try socket.read(upTo: 8) == VsockConnectReply(errno: Errno.connectionRefused.rawValue).bytes)
        #expect(try socket.read(upTo: 8) == [])
        // No RST for a RST.
        #expect(try guest.receive().isEmpty)
    }

    @Test func waitsForTheDriver() throws {
        let guest = try FakeGuest(activate: false)
        let socket = try guest.client(port: 7)
        let gone = FileDescriptorBox(try guest.client(port: 8))
        guest.step()
        #expect(throws: Errno.wouldBlock) { try socket.read(upTo: 4) }
        gone.close()
        guest.step()
        try guest.activate()
        #expect(try guest.receive().map(\.header.destinationPort) == [7])
    }

    @Test func greetingInPieces() throws {
        let guest = try FakeGuest()
        let socket = try Sockets.connect(to: guest.path + "/vsock.sock")
        for byte in VsockConnectRequest(port: 9).bytes {
            #expect(try guest.receive().isEmpty)
            try socket.writeAll([byte])
        }
        #expect(try guest.receive().map(\.header.destinationPort) == [9])
    }

    @Test func greetingOfAnotherKind() throws {
        let guest = try FakeGuest()
        let socket = try Sockets.connect(to: guest.path + "/vsock.sock")
        try socket.writeAll(Array("CONNECT 1000\n".utf8))
        guest.step()
        // Closed with what it had not read.
        #expect(throws: Errno.connectionReset) { try socket.read(upTo: 4) }
    }

    @Test func bytesRightBehindTheGreeting() throws {
        let guest = try FakeGuest()
        let socket = try Sockets.connect(to: guest.path + "/vsock.sock")
        try socket.writeAll(VsockConnectRequest(port: 9).bytes + [1, 2, 3])
        let host = try #require(try guest.receive().first).header.sourcePort
        try guest.send(GuestEnd(guest: 9, host: host).packet(.response))
        #expect(try guest.receive().map(\.payload) == [[1, 2, 3]])
    }

    @Test func clientGoesAwayBeforeTheAnswer() throws {
        let guest = try FakeGuest()
        let box = FileDescriptorBox(try guest.client(port: 1000))
        let host = try #require(try guest.receive().first).header.sourcePort
        box.close()
        #expect(try guest.receive().map(\.operation) == [.reset])
        // The guest's answer comes too late.
        try guest.send(GuestEnd(guest: 1000, host: host).packet(.response))
        #expect(try guest.receive().map(\.operation) == [.reset])
    }

    @Test func hostPortsDiffer() throws {
        let guest = try FakeGuest()
        var sockets: [FileDescriptorBox] = []
        var ports: Set<UInt32> = []
        for _ in 0..<20 {
            sockets.append(FileDescriptorBox(try guest.client(port: 1000)))
            ports.formUnion(try guest.receive().map(\.header.sourcePort))
        }
        #expect(ports.count == 20)
    }

    @Test func freePortsGoRoundAndSkipTheTaken() throws {
        var table = ConnectionTable()
        let first = table.freeKey(toGuest: 5)
        let pair = try Sockets.pair()
        let next = ConnectionKey(host: first.host + 1, guest: 5)
        table.name(table.add(try pair.first.duplicate(), stage: .established), next)
        #expect(table.freeKey(toGuest: 5).host == first.host + 2)
    }

    @Test func fromTheGuest() throws {
        let guest = try FakeGuest()
        let (socket, end) = try guest.accepted(port: 77)
        try guest.send(end.packet(.readWrite), Array("hello".utf8))
        #expect(try socket.read() == Array("hello".utf8))
        _ = try socket.write(Array("world".utf8))
        let answer = try #require(try guest.receive().last)
        #expect(answer.operation == .readWrite && answer.payload == Array("world".utf8))
        #expect(answer.header.sourcePort == 77 && answer.header.destinationPort == 5000)
        #expect(answer.header.forwardCount == 5)
    }

    @Test func nobodyListens() throws {
        let guest = try FakeGuest()
        try guest.send(GuestEnd(guest: 5000, host: 78).packet(.request))
        let answer = try #require(try guest.receive().first)
        #expect(answer.operation == .reset)
        #expect(answer.header.sourcePort == 78 && answer.header.destinationPort == 5000)
        #expect(answer.header.sourceCID == 2 && answer.header.destinationCID == FakeGuest.cid)
    }

    @Test func tooMany() throws {
        // Both ends of all of them are here.
        try ProcessControl.allowDescriptors(4096)
        let guest = try FakeGuest()
        var table: [FileDescriptorBox] = []
        for number in 0..<UInt32(ConnectionTable.mostConnections) {
            table.append(try guest.accepted(port: 77, from: 5000 + number).0)
        }
        let listener = try Sockets.listen(at: "vsock-77.sock", in: FileDescriptor.directory(guest.path))
        try guest.send(GuestEnd(guest: 4000, host: 77).packet(.request))
        #expect(try guest.receive().map(\.operation) == [.reset])
        #expect(try Sockets.accept(listener) == nil)
        // From the host it waits for a place.
        let waiting = try guest.client(port: 1)
        #expect(try guest.receive().isEmpty)
        try guest.send(GuestEnd(guest: 5003, host: 77).packet(.reset))
        #expect(try guest.receive().map(\.operation) == [.request])
        _ = waiting
    }

    @Test func configurationSpaceHoldsTheCID() throws {
        let guest = try FakeGuest()
        #expect(guest.device.configuration(at: 0, count: 8) == [42, 0, 0, 0, 0, 0, 0, 0])
        #expect(guest.device.configuration(at: 4, count: 4) == [0, 0, 0, 0])
        #expect(guest.device.configuration(at: 4, count: 5) == nil)
        #expect(guest.device.configuration(at: .max, count: .max) == nil)
        #expect(guest.device.configuration(at: 9, count: 0) == nil)
        let directory = try FileDescriptor.directory(guest.path)
        for cid: UInt64 in [0, 1, 2, UInt64(UInt32.max), .max] {
            #expect(throws: Errno.invalidArgument) {
                _ = try VsockDevice(guestCID: cid, directory: directory.duplicate())
            }
        }
    }
}

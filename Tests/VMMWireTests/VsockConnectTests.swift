import Testing
import VMMWire

@Suite struct VsockConnectTests {
    @Test func requestIsEightBytes() {
        #expect(VsockConnectRequest(port: 0x0102_0304).bytes == [0x4B, 0x56, 0x53, 0x31, 4, 3, 2, 1])
        for port: UInt32 in [0, 1, 1000, 0x8000_0000, .max] {
            let request = VsockConnectRequest(port: port)
            #expect(VsockConnectRequest(request.bytes) == request)
        }
    }

    @Test func anythingElseIsNoRequest() {
        let good = VsockConnectRequest(port: 7).bytes
        #expect(VsockConnectRequest([]) == nil)
        #expect(VsockConnectRequest(Array(good.dropLast())) == nil)
        #expect(VsockConnectRequest(good + [0]) == nil)
        for index in 0..<4 {
            var bad = good
            bad[index] ^= 1
            #expect(VsockConnectRequest(bad) == nil)
        }
    }

    @Test func replyIsFourBytes() {
        #expect(VsockConnectReply.connected.bytes == [0, 0, 0, 0])
        #expect(VsockConnectReply(errno: 111).bytes == [111, 0, 0, 0])
        #expect(VsockConnectReply([113, 0, 0, 0]) == VsockConnectReply(errno: 113))
        #expect(VsockConnectReply([0, 0, 0]) == nil)
        #expect(VsockConnectReply([0, 0, 0, 0, 0]) == nil)
        #expect(VsockConnectReply([0, 0, 0, 0x80]) == nil)
        #expect(VsockConnectReply([0, 16, 0, 0]) == nil)
    }

    @Test func names() {
        #expect(VsockSocketName.toGuest == "vsock.sock")
        #expect(VsockSocketName.fromGuest(port: .max) == "vsock-4294967295.sock")
    }
}

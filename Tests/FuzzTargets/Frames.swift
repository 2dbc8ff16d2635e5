import AgentProtocol
import VMMWire

/// The wire between host and agent, read by both: the first byte says in which pieces the stream comes.
@Sendable func frames(_ input: [UInt8]) -> String? {
    var input = Input(input)
    let piece = input.pick([1, 3, 9, 64, 4096])
    let stream = input.rest()
    var decoder = FrameDecoder()
    var decoded: [UInt8] = []
    var at = 0
    do throws(WireError) {
        while at < stream.count {
            let end = min(at + piece, stream.count)
            decoder.append(stream[at..<end])
            at = end
            while let frame = try decoder.next() {
                decoded += frame.encoded
                if let complaint = judge(frame) { return complaint }
            }
        }
    } catch {
        if error.description.isEmpty { return "an error without a text" }
    }
    if !stream.starts(with: decoded) { return "frames are not those of the stream" }
    return judgeSmall(stream)
}

/// What can be read as a message has to be the same when it was written and read again.
private func judge(_ frame: Frame) -> String? {
    if let message = try? HostMessage(frame) {
        let again = message.frame(request: frame.request)
        guard again.request == frame.request, (try? HostMessage(again)) == message else { return "\(message)" }
    }
    if let message = try? GuestMessage(frame) {
        let again = message.frame(request: frame.request)
        guard again.request == frame.request, (try? GuestMessage(again)) == message else { return "\(message)" }
    }
    return nil
}

private func judgeSmall(_ bytes: [UInt8]) -> String? {
    if let header = try? StreamHeader(decoding: bytes), header.encoded != bytes { return "\(header)" }
    if let request = VsockConnectRequest(bytes), request.bytes != bytes { return "\(request)" }
    if let reply = VsockConnectReply(bytes), reply.bytes != bytes { return "\(reply)" }
    return nil
}

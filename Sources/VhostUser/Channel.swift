import LinuxSys

/// Messages over the socket to the front end. It blocks within a message: a front end that sends half of one only
/// stops its own device.
struct Channel: ~Copyable {
    private let socket: FileDescriptor
    var raw: CInt { socket.raw }

    struct Message {
        var header: MessageHeader
        var payload: [UInt8]
        var descriptors: [SharedDescriptor]
    }

    init(_ socket: consuming FileDescriptor) { self.socket = socket }

    /// The next message; nil when the front end has closed the socket between two.
    func receive() throws(VhostUserError) -> Message? {
        // One more than any request takes: too many are an error, not silently closed.
        var descriptors: [SharedDescriptor] = []
        let head = try read(MessageHeader.byteCount, &descriptors, room: MemoryTable.mostRegions + 1)
        if head.isEmpty { return nil }
        let header = try MessageHeader(head)
        let payload = try read(Int(header.size), &descriptors, room: 0)
        if payload.count < Int(header.size) { throw .truncated }
        return Message(header: header, payload: payload, descriptors: descriptors)
    }

    func reply(to request: UInt32, _ payload: [UInt8]) throws(VhostUserError) {
        let bytes = MessageHeader(replyTo: request, size: payload.count).bytes + payload
        var done = 0
        do throws(Errno) {
            while done < bytes.count {
                done += try Sockets.send(Array(bytes[done...]), descriptors: [], over: socket)
            }
        } catch {
            throw .system("vhost-user socket", error)
        }
    }

    /// - Returns: `count` bytes, or none at all at the end of the stream.
    private func read(
        _ count: Int, _ descriptors: inout [SharedDescriptor], room: Int
    ) throws(VhostUserError) -> [UInt8] {
        var failure: VhostUserError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[filled...]))
                do throws(Errno) {
                    let got = try Sockets.receive(into: rest, room: filled == 0 ? room : 0, from: socket)
                    descriptors += got.descriptors
                    if got.truncated { failure = .badDescriptors(request: 0, count: descriptors.count + 1) }
                    if got.count == 0 {
                        if filled != 0 { failure = .truncated }
                        return
                    }
                    filled += got.count
                } catch {
                    // A front end that dies resets the socket; that is an end like the other.
                    if error != .connectionReset || filled != 0 { failure = .system("vhost-user socket", error) }
                    return
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }
}

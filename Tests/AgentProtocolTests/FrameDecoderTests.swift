import AgentProtocol
import Testing

struct FrameDecoderTests {
    private let stream = Samples.frames.flatMap(\.encoded)

    private func take(_ decoder: inout FrameDecoder) throws -> [Frame] {
        var frames: [Frame] = []
        while let frame = try decoder.next() { frames.append(frame) }
        return frames
    }

    @Test func allAtOnce() throws {
        var decoder = FrameDecoder()
        #expect(try decoder.next() == nil)
        decoder.append(stream)
        #expect(try take(&decoder) == Samples.frames)
        #expect(try decoder.next() == nil)
    }

    @Test("byte by byte: a frame comes with its last byte, not before and not after")
    func byteByByte() throws {
        var decoder = FrameDecoder()
        for frame in Samples.frames {
            let bytes = frame.encoded
            for byte in bytes.dropLast() {
                decoder.append(CollectionOfOne(byte))
                #expect(try decoder.next() == nil)
            }
            decoder.append(bytes.suffix(1))
            #expect(try decoder.next() == frame)
        }
    }

    @Test("in pieces of any size", arguments: 0..<5)
    func randomPieces(seed: Int) throws {
        var random = SeededGenerator(state: UInt64(seed))
        // Large frames too, so that the buffer is moved now and then.
        var frames: [Frame] = []
        for _ in 0..<60 {
            frames.append(Samples.frames.randomElement(using: &random) ?? Samples.frames[0])
            let size = Int.random(in: 0...30_000, using: &random)
            frames.append(
                Frame(
                    request: .random(in: 0 ... .max, using: &random), kind: 200,
                    payload: (0..<size).map { UInt8(truncatingIfNeeded: $0) }))
        }
        let bytes = frames.flatMap(\.encoded)
        var decoder = FrameDecoder()
        var seen: [Frame] = []
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + Int.random(in: 1...70_000, using: &random))
            decoder.append(bytes[at..<end])
            seen += try take(&decoder)
            at = end
        }
        #expect(seen == frames)
    }

    @Test("a frame that is too long is refused when its length is known, before its bytes have come")
    func tooLong() throws {
        let limit = WireLimit.frame
        for length in [UInt32(limit) + 6, 1 << 31, .max] {
            var decoder = FrameDecoder()
            var writer = WireWriter()
            writer.put(length)
            decoder.append(writer.bytes.prefix(3))
            #expect(try decoder.next() == nil)
            decoder.append(writer.bytes.suffix(1))
            let expected = WireError.tooLong(field: "frame", length: Int(length), limit: limit)
            #expect(throws: expected) { try decoder.next() }
            // And there is no way back into the stream.
            decoder.append(Samples.frames[0].encoded)
            #expect(throws: expected) { try decoder.next() }
        }
    }

    @Test func longest() throws {
        let frame = Frame(request: 1, kind: 2, payload: [UInt8](repeating: 7, count: WireLimit.frame))
        var decoder = FrameDecoder()
        decoder.append(frame.encoded)
        #expect(try decoder.next() == frame)
    }

    @Test("a frame without room for its own header is refused", arguments: UInt32(0)..<5)
    func tooShort(length: UInt32) {
        var writer = WireWriter()
        writer.put(length)
        var decoder = FrameDecoder()
        decoder.append(writer.bytes)
        #expect(throws: WireError.truncated) { try decoder.next() }
    }

    @Test("an empty payload is a frame")
    func empty() throws {
        var decoder = FrameDecoder()
        decoder.append([5, 0, 0, 0, 1, 0, 0, 0, 7])
        #expect(try decoder.next() == Frame(request: 1, kind: 7, payload: []))
    }

    @Test("noise ends in an error or in frames, and never traps")
    func noise() {
        var random = SeededGenerator(state: 5)
        for _ in 0..<5000 {
            var decoder = FrameDecoder()
            do {
                for _ in 0..<10 {
                    decoder.append(
                        (0..<Int.random(in: 0...20, using: &random)).map { _ in
                            UInt8.random(in: 0...255, using: &random) & UInt8.random(in: 0...255, using: &random) & 15
                        })
                    _ = try take(&decoder)
                }
            } catch {
                #expect(error is WireError)
            }
        }
    }

    @Test func streamHeader() throws {
        let header = StreamHeader(stream: 0xfffe_0102)
        #expect(header.encoded == [0x31, 0x4b, 0x56, 0x53, 0x02, 0x01, 0xfe, 0xff])
        #expect(header.encoded.count == StreamHeader.size)
        #expect(try StreamHeader(decoding: header.encoded) == header)
        for length in 0..<StreamHeader.size {
            #expect(throws: WireError.truncated) { try StreamHeader(decoding: Array(header.encoded.prefix(length))) }
        }
        #expect(throws: WireError.trailingBytes(1)) { try StreamHeader(decoding: header.encoded + [0]) }
        for place in 0..<4 {
            var bytes = header.encoded
            bytes[place] ^= 0x20
            #expect(throws: WireError.badValue(field: "magic")) { try StreamHeader(decoding: bytes) }
        }
    }
}

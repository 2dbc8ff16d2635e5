import Testing

@testable import VirtioVsock

@Suite struct HeaderTests {
    @Test func layout() throws {
        var header = VsockHeader()
        header.sourceCID = 0x0102_0304_0506_0708
        header.destinationCID = 2
        header.sourcePort = 0x1112_1314
        header.destinationPort = 0x2122_2324
        header.length = 0x3132_3334
        header.operation = 5
        header.flags = 3
        header.bufferSize = 0x4142_4344
        header.forwardCount = .max
        var bytes = [UInt8](repeating: 0xEE, count: 45)
        header.encode(into: &bytes)
        let expected: [UInt8] = [
            8, 7, 6, 5, 4, 3, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0x14, 0x13, 0x12, 0x11, 0x24, 0x23, 0x22, 0x21, 0x34, 0x33,
            0x32, 0x31, 1, 0, 5, 0, 3, 0, 0, 0, 0x44, 0x43, 0x42, 0x41, 0xFF, 0xFF, 0xFF, 0xFF, 0xEE,
        ]
        #expect(bytes == expected)
        #expect(VsockHeader(bytes) == header)
        #expect(VsockHeader(Array(bytes.prefix(43))) == nil)
    }

    @Test func resetAnswersTheOtherWay() {
        var header = VsockHeader()
        header.sourceCID = 99
        header.destinationCID = 2
        header.sourcePort = 5
        header.destinationPort = 6
        header.type = 9
        let answer = header.reset(guestCID: 42)
        #expect(answer.sourceCID == 2 && answer.destinationCID == 42)
        #expect(answer.sourcePort == 6 && answer.destinationPort == 5)
        #expect(answer.type == 9 && answer.operation == 3 && answer.length == 0)
    }

    @Test func creditNeverTrusts() {
        var credit = Credit(window: 100)
        #expect(credit.available == 0)
        var header = VsockHeader()
        header.bufferSize = 10
        credit.told(header)
        #expect(credit.available == 10)
        credit.spend(10)
        #expect(credit.available == 0)
        // A guest that claims to have forwarded more than it got, or shrinks its window, gets nothing.
        header.forwardCount = 11
        credit.told(header)
        #expect(credit.available == 0)
        header.forwardCount = 5
        header.bufferSize = 3
        credit.told(header)
        #expect(credit.available == 0)
        header.bufferSize = .max
        credit.told(header)
        #expect(credit.available == UInt32.max - 5)
    }

    /// Whether a packet of `count` bytes is within the credit.
    private func accepts(_ count: UInt32, _ credit: inout Credit) -> Bool { credit.accept(count) }

    @Test func creditOfTheGuest() {
        var credit = Credit(window: 100)
        var told = VsockHeader()
        told.bufferSize = 1000
        credit.told(told)
        #expect(accepts(60, &credit))
        #expect(!accepts(41, &credit))
        #expect(accepts(40, &credit))
        #expect(!accepts(1, &credit))
        #expect(!accepts(.max, &credit))
        credit.forward(49)
        #expect(!credit.updateIsDue)
        credit.forward(1)
        #expect(credit.updateIsDue)
        var header = VsockHeader()
        credit.announce(in: &header)
        #expect(header.bufferSize == 100 && header.forwardCount == 50 && !credit.updateIsDue)
        #expect(accepts(50, &credit))
        #expect(!accepts(1, &credit))
    }

    @Test func aGuestWithASmallBufferIsToldEarlier() {
        // Linux sends no more than its own buffer holds; waiting for half of our window would wait for ever.
        var credit = Credit(window: 100_000)
        for (buffer, due) in [(1000, 500), (2, 1), (1, 1), (0, 1), (.max, 50_000)] as [(UInt32, UInt32)] {
            var told = VsockHeader()
            told.bufferSize = buffer
            credit.told(told)
            credit.announce(in: &told)
            credit.forward(due - 1)
            #expect(!credit.updateIsDue)
            credit.forward(1)
            #expect(credit.updateIsDue)
        }
    }

    @Test func creditWraps() {
        var credit = Credit(window: 1 << 16)
        for _ in 0..<(1 << 17) {
            guard credit.accept(1 << 16) else {
                Issue.record("refused")
                return
            }
            credit.forward(1 << 16)
        }
        #expect(credit.forwarded == 0)
        #expect(accepts(1 << 16, &credit))
        #expect(!accepts(1, &credit))
    }

    @Test func pendingBytesKeepOrder() {
        var pending = PendingBytes()
        var random: UInt8 = 0
        var expected: [UInt8] = []
        for size in [1, 70_000, 3, 131_072, 10] {
            pending.append(atMost: size) { bytes in
                for _ in 0..<size {
                    random = random &* 5 &+ 1
                    bytes.append(random)
                    expected.append(random)
                }
            }
        }
        #expect(pending.count == expected.count)
        var got: [UInt8] = []
        while !pending.isEmpty {
            _ = pending.drain { bytes, start in
                let part = bytes[start...].prefix(999)
                got += part
                return part.count
            }
        }
        #expect(got == expected)
    }
}

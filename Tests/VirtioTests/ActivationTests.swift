import Testing
import Virtio

@Suite struct ActivationTests {
    private struct Counter: ~Copyable { var value = 0 }

    @Test func onlyAnActivatedDeviceHasState() throws {
        var activation = Activation<Counter>.inactive
        #expect(activation.withActive { $0.value } == nil)
        let before = activation.isActive
        #expect(!before)
        activation = .activated(Counter())
        #expect(activation.withActive { $0.value += 1 } != nil)
        #expect(throws: QueueError.zeroLength) {
            try activation.withActive { counter throws(QueueError) in
                counter.value += 1
                throw QueueError.zeroLength
            }
        }
        // A failure loses nothing.
        #expect(activation.withActive { $0.value } == 2)
    }
}

import GuestMemory
import LinuxSys
import Synchronization
import Virtio

/// Interrupts by eventfd. The front end may change the eventfd while the queue is at work, on a thread of the device's.
final class CallDescriptor: QueueInterrupt {
    private let event = Mutex<EventDescriptor?>(nil)

    func replace(_ new: consuming sending EventDescriptor?) {
        var new = new
        event.withLock { event in
            event = new.take()
        }
    }

    func raise() {
        event.withLock { event in
            // What can fail is a full counter, and then the other side has been told.
            try? event?.signal()
        }
    }
}

/// What the front end has said of one queue.
final class Vring {
    static let mostEntries: UInt32 = 1024

    var size: UInt32 = 0
    /// User addresses: they are translated when the queue is activated, for the memory table may come later.
    var address: VringAddress?
    var position = QueuePosition(nextAvailable: 0)
    var kick: EventDescriptor?
    let call = CallDescriptor()
    var error: EventDescriptor?
    var isEnabled = false

    var isComplete: Bool { size != 0 && address != nil && kick != nil && isEnabled }

    /// What the device needs to know; nil while something is missing.
    func configuration(_ memory: GuestMemory, index: Int) throws(VhostUserError) -> QueueConfiguration? {
        guard isComplete, let address else { return nil }
        do throws(GuestMemoryError) {
            return QueueConfiguration(
                size: size,
                descriptorTable: try memory.guestAddress(
                    ofUser: address.descriptorTable, count: QueueConfiguration.descriptorTableBytes(size)),
                availableRing: try memory.guestAddress(
                    ofUser: address.availableRing, count: QueueConfiguration.availableRingBytes(size)),
                usedRing: try memory.guestAddress(
                    ofUser: address.usedRing, count: QueueConfiguration.usedRingBytes(size)),
                position: position, interrupt: call)
        } catch {
            throw .badQueueAddress(queue: index)
        }
    }
}

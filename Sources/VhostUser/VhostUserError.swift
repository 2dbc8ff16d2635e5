import GuestMemory
import LinuxSys
import Virtio

/// Why a connection to a front end came to an end. All are final: a front end that breaks the protocol is not trusted.
public enum VhostUserError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A system call on `what` failed.
    case system(String, Errno)
    /// A wrong version, or a reply where a request should be.
    case badFlags(UInt32)
    case badSize(request: UInt32, size: UInt32)
    /// A message ended before all that it should hold.
    case truncated
    case unknownRequest(UInt32)
    /// More or fewer descriptors than the request takes.
    case badDescriptors(request: UInt32, count: Int)
    /// Features or protocol features that were not offered.
    case badFeatures(UInt64)
    case noSuchQueue(UInt64)
    case badQueueSize(queue: Int, size: UInt32)
    /// A ring address that is not in the memory table.
    case badQueueAddress(queue: Int)
    case badMemoryTable(String)
    /// Polling instead of a kick descriptor.
    case noKick(queue: Int)
    /// The guest's driver broke a queue while it was set up.
    case queue(QueueError)

    public var description: String {
        switch self {
        case .system(let what, let error): "\(what): \(error)"
        case .badFlags(let flags): "vhost-user: bad message flags \(flags)"
        case .badSize(let request, let size): "vhost-user: \(size) bytes of payload in request \(request)"
        case .truncated: "vhost-user: message too short"
        case .unknownRequest(let request): "vhost-user: request \(request) is not known"
        case .badDescriptors(let request, let count): "vhost-user: \(count) descriptors with request \(request)"
        case .badFeatures(let bits): "vhost-user: features \(bits) were not offered"
        case .noSuchQueue(let index): "vhost-user: no queue \(index)"
        case .badQueueSize(let queue, let size): "vhost-user: size \(size) of queue \(queue)"
        case .badQueueAddress(let queue): "vhost-user: queue \(queue) is not in the guest's memory"
        case .badMemoryTable(let why): "vhost-user: memory table: \(why)"
        case .noKick(let queue): "vhost-user: queue \(queue) has no kick descriptor"
        case .queue(let error): "the guest's driver broke a queue: \(error)"
        }
    }
}

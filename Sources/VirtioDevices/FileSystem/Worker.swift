import FileCalls
import GuestMemory
import LinuxSys
import Virtio

/// Where the answer to a request goes.
struct PendingReply {
    var unique: UInt64
    var head: UInt16
    var writable: [GuestSegment]
    /// Of which queue.
    var queue: Int
}

/// The answer to a request that had to wait.
struct LateAnswer {
    var place: PendingReply
    /// nil: it was done.
    var error: Errno?
}

/// Carries out requests, one after the other, on one thread.
final class Worker {
    /// How a request was answered.
    enum Answer {
        /// With what is in `reply`.
        case reply
        /// With so many bytes that are in the guest's memory already, behind the header.
        case filled(Int)
        case none
        /// When it can be.
        case later
    }

    /// Most requests fit: two names, or a name and a symlink's target.
    private static let standingBytes = 4096 + 512
    /// SETXATTR has the longest bodies of those that are copied: a name and a value of 64 KiB.
    private static let mostBytes = 160 << 10

    let fs: FileSystem
    var credentials = ThreadCredentials()
    var reply = ByteWriter()
    /// The request at hand.
    var chain = DescriptorChain()
    var queue = 0
    /// Answers to other requests that came about on the way.
    var late: [LateAnswer] = []
    /// The guest is going to read on in it, as far as can be told.
    weak var directoryAhead: OpenDirectory?
    private(set) var memory: GuestMemory
    private var standing = [UInt8](repeating: 0, count: standingBytes)

    init(_ fs: FileSystem, _ memory: GuestMemory) {
        self.fs = fs
        self.memory = memory
    }

    /// Carries out the request in `chain`.
    /// - Returns: bytes of the answer; nil when it comes later.
    func process() -> UInt32? {
        guard let header = readHeader() else {
            fs.monitor.withLock { fs.counters.badRequests &+= 1 }
            // With some room the guest at least learns that it was wrong.
            return answer(0, error: .invalidArgument)
        }
        reply.restart(zeros: ReplyHeader.byteCount)
        do throws(Errno) {
            switch try perform(header) {
            case .reply: return finish(header.unique)
            case .filled(let count): return answer(header.unique, filled: count)
            case .none: return 0
            case .later: return nil
            }
        } catch {
            return answer(header.unique, error: error)
        }
    }

    private func readHeader() -> RequestHeader? {
        guard let count = try? memory.gather(chain.readable, into: &standing), count >= RequestHeader.byteCount
        else { return nil }
        var reader = ByteReader(standing, in: 0..<RequestHeader.byteCount)
        do throws(Errno) {
            let header = RequestHeader(
                length: try reader.number(), opcode: try reader.number(), unique: try reader.number(),
                node: try reader.number(), uid: try reader.number(), gid: try reader.number(),
                pid: try reader.number())
            return header.length == chain.readableBytes ? header : nil
        } catch {
            return nil
        }
    }

    /// Behind the header. Of WRITE the data stay where they are.
    func body(_ opcode: Opcode) throws(Errno) -> ByteReader {
        let count = Int(chain.readableBytes)
        if count <= standing.count || opcode == .write {
            return ByteReader(standing, in: RequestHeader.byteCount..<min(count, standing.count))
        }
        guard count <= Self.mostBytes else { throw .invalidArgument }
        var bytes = [UInt8](repeating: 0, count: count)
        do throws(GuestMemoryError) { _ = try memory.gather(chain.readable, into: &bytes) } catch {
            throw .badAddress
        }
        return ByteReader(bytes, in: RequestHeader.byteCount..<count)
    }

    // MARK: Answers

    /// Bytes of answer that the guest has room for, behind the header.
    var room: Int { max(Int(chain.writableBytes) - ReplyHeader.byteCount, 0) }

    private func finish(_ unique: UInt64) -> UInt32 {
        guard reply.count <= Int(chain.writableBytes) else { return answer(unique, error: .ioError) }
        return send(unique, length: reply.count, error: 0)
    }

    private func answer(_ unique: UInt64, filled count: Int) -> UInt32 {
        reply.restart(zeros: ReplyHeader.byteCount)
        return send(unique, length: ReplyHeader.byteCount + count, error: 0)
    }

    func answer(_ unique: UInt64, error: Errno) -> UInt32 {
        fs.monitor.withLock { fs.counters.errors &+= 1 }
        guard Int(chain.writableBytes) >= ReplyHeader.byteCount else { return 0 }
        reply.restart(zeros: ReplyHeader.byteCount)
        return send(unique, length: ReplyHeader.byteCount, error: error.rawValue)
    }

    /// Answers a request that had to wait.
    /// - Returns: bytes of the answer.
    func write(_ late: LateAnswer) -> UInt32 {
        var bytes = ByteWriter()
        bytes.append(UInt32(ReplyHeader.byteCount))
        bytes.append(-(late.error?.rawValue ?? 0))
        bytes.append(late.place.unique)
        _ = try? memory.scatter(bytes.bytes, into: late.place.writable)
        return UInt32(ReplyHeader.byteCount)
    }

    private func send(_ unique: UInt64, length: Int, error: Int32) -> UInt32 {
        reply.patch(UInt32(truncatingIfNeeded: length), at: 0)
        reply.patch(-error, at: 4)
        reply.patch(unique, at: 8)
        // The segments were in guest memory when they were popped, and guest memory stays.
        _ = try? memory.scatter(reply.bytes, into: chain.writable)
        return UInt32(truncatingIfNeeded: length)
    }
}

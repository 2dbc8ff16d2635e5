/// Bytes on their way to a socket that takes no more for now, in chunks: nothing is moved when some of them go, and
/// memory goes with them. Its owner bounds it: never more than the window that the guest was given.
struct PendingBytes {
    private static let chunk = 65536

    private var chunks: [[UInt8]] = []
    /// Bytes of the first chunk that are gone.
    private var start = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// Has `body` append to the last chunk, and counts what it did.
    mutating func append<Failure: Error>(
        atMost bytes: Int, _ body: (inout [UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        // A chunk takes a whole packet (64 KiB) more than it should hold: cheaper than to split it.
        if chunks.last.map({ $0.count + bytes > 2 * Self.chunk }) ?? true { chunks.append([]) }
        let last = chunks.count - 1
        let before = chunks[last].count
        defer { count += chunks[last].count - before }
        try body(&chunks[last])
    }

    /// Hands bytes to `send` until it takes no more.
    /// - Parameter send: bytes and where to start; returns how many it took.
    /// - Returns: how many bytes went.
    mutating func drain<Failure: Error>(_ send: ([UInt8], Int) throws(Failure) -> Int) throws(Failure) -> Int {
        var gone = 0
        while let first = chunks.first {
            let taken = try send(first, start)
            gone += taken
            count -= taken
            start += taken
            if start < first.count { break }
            chunks.removeFirst()
            start = 0
        }
        return gone
    }

    mutating func removeAll() { self = PendingBytes() }
}

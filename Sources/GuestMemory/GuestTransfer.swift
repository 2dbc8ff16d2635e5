import CLinux
import LinuxSys

/// I/O between descriptors and guest memory, without a copy of ours between.
extension GuestMemory {
    /// More segments than this are left for the next call: a stream takes and gives what it can.
    private static var mostSegments: Int { 64 }
    /// A request of 1 MiB in pages, and its header; IOV_MAX is 1024.
    private static var mostFileSegments: Int { 272 }

    /// Receives from `fd` into the segments, one after the other.
    /// - Parameter limit: bytes at most.
    /// - Returns: how many bytes came; 0 is the end of the stream.
    /// - Throws: `badAddress` when a segment is outside of guest memory, `wouldBlock` and what else readv(2) says.
    public func receive(from fd: CInt, into segments: [GuestSegment], limit: Int) throws(Errno) -> Int {
        try transfer(segments, skipping: 0, limit: limit) { parts, count in
            readv(fd, parts, CInt(count))
        }
    }

    /// Sends the segments, without their first `skipping` bytes, to a socket; never waits, raises no SIGPIPE.
    /// - Parameter limit: bytes at most.
    /// - Returns: how many bytes the socket took.
    /// - Throws: `badAddress` when a segment is outside of guest memory, `wouldBlock` and what else sendmsg(2) says.
    public func send(_ segments: [GuestSegment], skipping: Int, limit: Int, to socket: CInt) throws(Errno) -> Int {
        try transfer(segments, skipping: skipping, limit: limit) { parts, count in
            var message = msghdr()
            message.msg_iov = parts
            message.msg_iovlen = count
            return sendmsg(socket, &message, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL))
        }
    }

    /// Reads a file from `offset` into the segments, without their first `skipping` bytes.
    /// - Parameter limit: bytes at most.
    /// - Returns: how many bytes there were; less than `limit` only at the end of the file, or of the segments.
    /// - Throws: `badAddress` when a segment is outside of guest memory, and what preadv(2) says.
    public func readFile(
        _ file: borrowing FileDescriptor, at offset: Int64, into segments: [GuestSegment], skipping: Int, limit: Int
    ) throws(Errno) -> Int {
        let fd = file.raw
        return try repeated(offset, limit) { offset, done, left throws(Errno) in
            try transfer(segments, skipping: skipping + done, limit: left, most: Self.mostFileSegments) {
                preadv(fd, $0, CInt($1), off_t(offset))
            }
        }
    }

    /// Writes the segments, without their first `skipping` bytes, to a file at `offset`.
    /// - Returns: how many bytes were written: less than `limit` when the disk is full, or the segments end.
    /// - Throws: `badAddress` when a segment is outside of guest memory, and what pwritev(2) says.
    public func writeFile(
        _ file: borrowing FileDescriptor, at offset: Int64, from segments: [GuestSegment], skipping: Int, limit: Int
    ) throws(Errno) -> Int {
        let fd = file.raw
        return try repeated(offset, limit) { offset, done, left throws(Errno) in
            try transfer(segments, skipping: skipping + done, limit: left, most: Self.mostFileSegments) {
                pwritev(fd, $0, CInt($1), off_t(offset))
            }
        }
    }

    /// Like `writeFile`, but to wherever the file ends.
    public func appendToFile(
        _ file: borrowing FileDescriptor, from segments: [GuestSegment], skipping: Int, limit: Int
    ) throws(Errno) -> Int {
        let fd = file.raw
        return try repeated(0, limit) { _, done, left throws(Errno) in
            try transfer(segments, skipping: skipping + done, limit: left, most: Self.mostFileSegments) {
                clinux_append(fd, $0, CInt($1))
            }
        }
    }

    /// Calls until all is moved, or nothing more moves. An error after a part has moved is for the next call to meet.
    private func repeated(
        _ offset: Int64, _ limit: Int, _ call: (Int64, Int, Int) throws(Errno) -> Int
    ) throws(Errno) -> Int {
        var done = 0
        while done < limit {
            let (at, overflow) = offset.addingReportingOverflow(Int64(done))
            if overflow { throw .invalidArgument }
            do throws(Errno) {
                let count = try call(at, done, limit - done)
                if count == 0 { break }
                done += count
            } catch {
                if done == 0 { throw error }
                break
            }
        }
        return done
    }

    private func transfer(
        _ segments: [GuestSegment], skipping: Int, limit: Int, most: Int = mostSegments,
        _ call: (UnsafeMutablePointer<iovec>, Int) -> Int
    ) throws(Errno) -> Int {
        let capacity = min(segments.count, most)
        var failure: Errno?
        let moved = withUnsafeTemporaryAllocation(of: iovec.self, capacity: max(capacity, 1)) { parts -> Int in
            guard let first = parts.baseAddress else { return 0 }
            var skip = skipping
            var left = limit
            var used = 0
            for segment in segments {
                if left <= 0 || used == capacity { break }
                let size = Int(segment.count)
                if skip >= size {
                    skip -= size
                    continue
                }
                guard let start = pointer(to: segment.address, count: UInt64(size)) else {
                    failure = .badAddress
                    return 0
                }
                let part = min(size - skip, left)
                parts.initializeElement(at: used, to: iovec(iov_base: start + skip, iov_len: part))
                used += 1
                left -= part
                skip = 0
            }
            do throws(Errno) { return try retrying { call(first, used) } } catch { failure = error }
            return 0
        }
        if let failure { throw failure }
        return moved
    }
}

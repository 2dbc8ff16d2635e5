import FileCalls
import Glibc
import GuestMemory
import LinuxSys

/// Requests about what is in open files.
extension Worker {
    /// FUSE_WRITE_KILL_SUIDGID.
    private static let killSetID: UInt32 = 4
    /// Bytes of one COPY_FILE_RANGE: the guest asks for the rest.
    private static let mostCopied: UInt64 = 32 << 20

    private func file(_ handle: UInt64) throws(Errno) -> OpenFile {
        try fs.monitor.withLock { () throws(Errno) in try fs.files.file(handle) }
    }

    private func writableFile(_ handle: UInt64) throws(Errno) -> OpenFile {
        let file = try file(handle)
        guard file.isWritable else { throw .badFileDescriptor }
        return file
    }

    func read(_ body: inout ByteReader) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        let offset: UInt64 = try body.number()
        let size: UInt32 = try body.number()
        guard let offset = Int64(exactly: offset) else { throw .invalidArgument }
        let file = try file(handle)
        let count = try memory.readFile(
            file.descriptor.descriptor, at: offset, into: chain.writable, skipping: ReplyHeader.byteCount,
            limit: min(Int(size), room))
        fs.monitor.withLock { fs.counters.bytesRead &+= UInt64(count) }
        return .filled(count)
    }

    func write(_ body: inout ByteReader) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        let offset: UInt64 = try body.number()
        let size: UInt32 = try body.number()
        let writeFlags: UInt32 = try body.number()
        try body.skip(8)
        let fileFlags = CInt(bitPattern: try body.number(UInt32.self))
        guard let offset = Int64(exactly: offset) else { throw .invalidArgument }
        // fuse_write_in is 40 bytes; the data follow.
        let start = RequestHeader.byteCount + 40
        guard Int(chain.readableBytes) - start >= Int(size) else { throw .invalidArgument }
        let file = try writableFile(handle)
        credentials.keepSetID(writeFlags & Self.killSetID == 0)
        let gathers = fs.monitor.withLock { fs.negotiated.contains(.writebackCache) }
        let count = try changing(inode: file.inode) { () throws(Errno) in
            fileFlags & O_APPEND != 0 && !gathers
                ? try memory.appendToFile(
                    file.descriptor.descriptor, from: chain.readable, skipping: start, limit: Int(size))
                : try memory.writeFile(
                    file.descriptor.descriptor, at: offset, from: chain.readable, skipping: start, limit: Int(size))
        }
        fs.monitor.withLock { fs.counters.bytesWritten &+= UInt64(count) }
        reply.append(UInt32(truncatingIfNeeded: count))
        reply.append(UInt32(0))
        return .reply
    }

    func release(_ body: inout ByteReader) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        var member = fs.monitor.withLock { fs.files.remove(handle) }
        guard let inode = member.map(\.inode) else { throw .badFileDescriptor }
        // Closed here, without the monitor: it may take its time, and nobody else shall wait for it.
        try changing(inode: inode) { () throws(Errno) in member = nil }
        return .reply
    }

    func synchronize(_ body: inout ByteReader) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        let flags: UInt32 = try body.number()
        try FileCalls.synchronize(file(handle).descriptor.descriptor, dataOnly: flags & 1 != 0)
        return .reply
    }

    /// Set-user-ID bits go as at a write(2). The request does not say whether who asks has CAP_FSETID, and the guest's kernel
    /// leaves it to us: users have not, root has.
    private func keepSetIDForRootOnly(_ header: RequestHeader) { credentials.keepSetID(header.uid == 0) }

    func allocate(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        let offset: UInt64 = try body.number()
        let length: UInt64 = try body.number()
        let mode: UInt32 = try body.number()
        guard let mode = CInt(exactly: mode), Int64(exactly: offset) != nil, Int64(exactly: length) != nil else {
            throw .invalidArgument
        }
        if try self.file(handle).isEmulated { return .reply }
        let file = try writableFile(handle)
        keepSetIDForRootOnly(header)
        try changing(inode: file.inode) { () throws(Errno) in
            try FileCalls.allocate(file.descriptor.descriptor, mode: mode, offset: offset, length: length)
        }
        return .reply
    }

    func seek(_ body: inout ByteReader) throws(Errno) -> Answer {
        let handle: UInt64 = try body.number()
        let offset: UInt64 = try body.number()
        let whence: UInt32 = try body.number()
        // SEEK_DATA and SEEK_HOLE; the others are the guest's own business.
        guard whence == 3 || whence == 4, let offset = Int64(exactly: offset) else { throw .invalidArgument }
        // What the guest has gathered and not written yet would be a hole. To the guest all is data then.
        if fs.monitor.withLock({ fs.negotiated.contains(.writebackCache) }) { throw .notImplemented }
        let found = try FileCalls.seek(file(handle).descriptor.descriptor, offset, CInt(whence))
        reply.append(found)
        return .reply
    }

    func copyRange(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let from: UInt64 = try body.number()
        let fromOffset: UInt64 = try body.number()
        try body.skip(8)
        let to: UInt64 = try body.number()
        let toOffset: UInt64 = try body.number()
        let length: UInt64 = try body.number()
        let flags: UInt64 = try body.number()
        guard flags == 0, let fromOffset = Int64(exactly: fromOffset), let toOffset = Int64(exactly: toOffset) else {
            throw .invalidArgument
        }
        let source = try file(from)
        let target = try writableFile(to)
        keepSetIDForRootOnly(header)
        let count = try changing(inode: target.inode) { () throws(Errno) in
            try FileCalls.copy(
                from: source.descriptor.descriptor, at: fromOffset, to: target.descriptor.descriptor, at: toOffset,
                count: Int(min(length, Self.mostCopied)))
        }
        reply.append(UInt32(truncatingIfNeeded: count))
        reply.append(UInt32(0))
        return .reply
    }
}

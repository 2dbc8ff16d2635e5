import FileCalls
import Glibc
import GuestMemory
import LinuxSys

/// Requests about locks: those of fcntl(2), which belong to an owner, and those of flock(2), which belong to an open file.
/// Both are taken on the host, so that guests and the host's own programs see each other's.
extension Worker {
    /// FUSE_LK_FLOCK.
    private static let whole: UInt32 = 1

    /// `fuse_lk_in`.
    private struct LockRequest {
        var handle: UInt64
        var owner: UInt64
        var lock: RangeLock
        var pid: UInt32
        var isWhole: Bool
    }

    private func lockRequest(_ body: inout ByteReader) throws(Errno) -> LockRequest {
        let handle: UInt64 = try body.number()
        let owner: UInt64 = try body.number()
        let start: UInt64 = try body.number()
        let end: UInt64 = try body.number()
        let type: UInt32 = try body.number()
        let pid: UInt32 = try body.number()
        let flags: UInt32 = try body.number()
        guard start <= end, let first = Int64(exactly: start), let last = Int64(exactly: end) else {
            throw .invalidArgument
        }
        let kind: RangeLock.Kind
        switch CInt(truncatingIfNeeded: type) {
        case F_RDLCK: kind = .read
        case F_WRLCK: kind = .write
        case F_UNLCK: kind = .none
        default: throw .invalidArgument
        }
        // The last byte is included; the largest offset is "to the end".
        let length = last == Int64.max ? 0 : last - first + 1
        return LockRequest(
            handle: handle, owner: owner, lock: RangeLock(start: first, length: length, kind: kind), pid: pid,
            isWhole: flags & Self.whole != 0)
    }

    /// The open file to which the owner's locks on the inode belong.
    private func lockDescriptor(_ owner: LockTable.Owner, _ file: OpenFile) throws(Errno) -> SharedDescriptor {
        if let known = fs.monitor.withLock({ fs.locks[owner] }) { return known }
        let found = try fs.descriptor(ofOpenOr: file.inode, nil)
        let access = file.inode.tree.readOnly ? O_RDONLY : O_RDWR
        let opened: SharedDescriptor
        do throws(Errno) {
            opened = SharedDescriptor(try FileCalls.reopen(found.descriptor, flags: access))
        } catch  where error == .readOnlyFileSystem || error.rawValue == ETXTBSY {
            opened = SharedDescriptor(try FileCalls.reopen(found.descriptor, flags: O_RDONLY))
        }
        return try fs.monitor.withLock { () throws(Errno) in
            if let known = fs.locks[owner] { return known }
            if fs.locks.isFull { throw .noLocks }
            fs.locks.add(opened, of: owner, in: file.inode.tree)
            return opened
        }
    }

    func getLock(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        let request = try lockRequest(&body)
        let file = try fs.monitor.withLock { () throws(Errno) in try fs.files.file(request.handle) }
        let owner = LockTable.Owner(inode: file.inode.id, number: request.owner)
        let descriptor = try lockDescriptor(owner, file)
        guard let found = try FileCalls.conflictingLock(descriptor.descriptor, request.lock) else {
            reply.append(UInt64(0))
            reply.append(UInt64(0))
            reply.append(UInt32(bitPattern: F_UNLCK))
            reply.append(UInt32(0))
            return .reply
        }
        reply.append(found.lock.start)
        let last = found.lock.length == 0 ? Int64.max : found.lock.start &+ found.lock.length &- 1
        reply.append(last)
        reply.append(UInt32(bitPattern: found.lock.kind == .read ? F_RDLCK : F_WRLCK))
        // Of another guest, or of the host: no process of this guest has the number 0.
        reply.append(fs.monitor.withLock { fs.locks.pid(inTheWayOf: owner, request.lock) } ?? 0)
        return .reply
    }

    func setLock(_ header: RequestHeader, _ body: inout ByteReader, waits: Bool) throws(Errno) -> Answer {
        let request = try lockRequest(&body)
        let file = try fs.monitor.withLock { () throws(Errno) in try fs.files.file(request.handle) }
        let owner = LockTable.Owner(inode: file.inode.id, number: request.owner)
        // Nothing to give up.
        if !request.isWhole, request.lock.kind == .none, fs.monitor.withLock({ fs.locks[owner] }) == nil {
            return .reply
        }
        let descriptor = request.isWhole ? file.descriptor : try lockDescriptor(owner, file)
        if !request.isWhole, request.lock.kind != .none, fs.monitor.withLock({ fs.locks.isFullOfRanges }) {
            throw .noLocks
        }
        do throws(Errno) {
            try Self.take(request.lock, descriptor, isWhole: request.isWhole)
            if !request.isWhole {
                fs.monitor.withLock { fs.locks.note(request.lock, of: owner, pid: request.pid) }
            }
            return .reply
        } catch .wouldBlock where waits {
            let waiter = LockTable.Waiter(
                chain: PendingReply(unique: header.unique, head: chain.head, writable: chain.writable, queue: queue),
                owner: request.isWhole ? nil : owner, pid: request.pid, descriptor: descriptor,
                tree: file.inode.tree, lock: request.lock, isWhole: request.isWhole,
                due: Clock.monotonicNanoseconds() + LockTable.firstPause, pause: LockTable.firstPause)
            try fs.monitor.withLock { () throws(Errno) in try fs.locks.wait(waiter) }
            return .later
        } catch {
            throw error
        }
    }

    private static func take(_ lock: RangeLock, _ descriptor: SharedDescriptor, isWhole: Bool) throws(Errno) {
        if isWhole {
            try FileCalls.setWholeLock(descriptor.descriptor, lock.kind)
        } else {
            try FileCalls.setLock(descriptor.descriptor, lock)
        }
    }

    /// Tries again for those whose time has come.
    func retryLocks() {
        let now = Clock.monotonicNanoseconds()
        for waiter in fs.monitor.withLock({ fs.locks.waiters(due: now) }) { retry(waiter, now) }
    }

    private func retry(_ waiter: LockTable.Waiter, _ now: UInt64) {
        var failure: Errno?
        do throws(Errno) { try Self.take(waiter.lock, waiter.descriptor, isWhole: waiter.isWhole) } catch {
            failure = error
        }
        let unique = waiter.chain.unique
        let ended = fs.monitor.withLock { () -> LockTable.Waiter? in
            if failure == .wouldBlock {
                // A lock that was given since can have closed a circle.
                guard let owner = waiter.owner, fs.locks.wouldWaitForever(owner, waiter.lock) else {
                    let pause = min(waiter.pause * 2, LockTable.longestPause)
                    fs.locks.postpone(unique, to: now + pause, pause: pause)
                    return waiter
                }
                failure = .deadlock
            }
            let ended = fs.locks.endWaiting(unique)
            if ended != nil, failure == nil, let owner = waiter.owner {
                fs.locks.note(waiter.lock, of: owner, pid: waiter.pid)
            }
            return ended
        }
        if failure == .wouldBlock { return }
        if ended != nil {
            late.append(LateAnswer(place: waiter.chain, error: failure))
        } else if failure == nil {
            // It was interrupted meanwhile, and answered.
            let back = RangeLock(start: waiter.lock.start, length: waiter.lock.length, kind: .none)
            try? Self.take(back, waiter.descriptor, isWhole: waiter.isWhole)
        }
    }

    /// close(2) of one of an owner's descriptors: all locks that the owner has on the file go.
    func flush(_ header: RequestHeader, _ body: inout ByteReader) throws(Errno) -> Answer {
        // With its locks in its own hands the guest need not tell of every close(2): it asks no more.
        guard fs.sharesLocks else { throw .notImplemented }
        try body.skip(16)
        let number: UInt64 = try body.number()
        let owner = LockTable.Owner(inode: header.node, number: number)
        let (waiting, descriptor) = fs.monitor.withLock {
            // A thread that waits gets its lock by this descriptor, and has it for as long as the owner wants.
            fs.locks.isWaiting(owner) ? (fs.locks[owner], nil) : (nil, fs.locks.release(owner))
        }
        if let waiting {
            let all = RangeLock(start: 0, length: 0, kind: .none)
            try FileCalls.setLock(waiting.descriptor, all)
            fs.monitor.withLock { fs.locks.note(all, of: owner, pid: 0) }
        }
        // Its descriptor is closed here, outside of the monitor.
        var released = descriptor
        if released != nil, let inode = try? fs.inode(header.node) {
            try changing(inode: inode) { () throws(Errno) in released = nil }
        }
        return .reply
    }
}

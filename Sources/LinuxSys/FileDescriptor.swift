import CLinux

/// An open file descriptor with one owner; closed when the owner goes.
@frozen
public struct FileDescriptor: ~Copyable, Sendable {
    /// The number, for a call made while the owner lives. Never store it.
    public let raw: CInt

    /// Takes over a descriptor that nobody else closes.
    public init(owning raw: CInt) { self.raw = raw }

    deinit { if raw >= 0 { _ = close(raw) } }

    /// Gives the number away: the caller now closes it.
    public consuming func release() -> CInt {
        let number = raw
        discard self
        return number
    }

    /// A second descriptor of the same open file, closed on exec.
    public func duplicate() throws(Errno) -> FileDescriptor { try Self.duplicate(of: raw) }

    public static func duplicate(of raw: CInt) throws(Errno) -> FileDescriptor {
        FileDescriptor(owning: try once { clinux_fcntl(raw, F_DUPFD_CLOEXEC, 3) })
    }

    public static func open(_ path: String, _ flags: CInt, mode: mode_t = 0) throws(Errno) -> FileDescriptor {
        FileDescriptor(owning: try retrying { clinux_open(path, flags | O_CLOEXEC, mode) })
    }

    /// openat(2) below this directory.
    public func open(at path: String, _ flags: CInt, mode: mode_t = 0) throws(Errno) -> FileDescriptor {
        FileDescriptor(owning: try retrying { clinux_openat(raw, path, flags | O_CLOEXEC, mode) })
    }

    /// A directory, as a place for later `at` calls.
    public static func directory(_ path: String) throws(Errno) -> FileDescriptor {
        try open(path, CInt(CLINUX_O_PATH) | O_DIRECTORY)
    }

    /// A descriptor that stands for whatever is at the path and does not open it (O_PATH).
    public static func reference(_ path: String) throws(Errno) -> FileDescriptor { try open(path, CInt(CLINUX_O_PATH)) }

    /// The flag of such a descriptor, as F_GETFL tells it.
    public static var pathOnly: CInt { CInt(CLINUX_O_PATH) }

    public func setNonBlocking(_ on: Bool = true) throws(Errno) {
        let flags = try once { clinux_fcntl(raw, F_GETFL, 0) }
        _ = try once { clinux_fcntl(raw, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) }
    }

    /// Reads at most `count` bytes; an empty array is the end of the file.
    public func read(upTo count: Int) throws(Errno) -> [UInt8] {
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(Errno) { filled = try read(into: UnsafeMutableRawBufferPointer(buffer)) } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Reads into `buffer`; 0 is the end of the file.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try retrying { CLinux.read(raw, buffer.baseAddress, buffer.count) }
    }

    /// One write(2): how many bytes were taken.
    public func write(_ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
        try retrying { CLinux.write(raw, buffer.baseAddress, buffer.count) }
    }

    /// One write(2) of `bytes[from...]`: how many bytes were taken.
    public func write(_ bytes: [UInt8], from offset: Int = 0) throws(Errno) -> Int {
        var result = 0
        var failure: Errno?
        bytes.withUnsafeBytes { buffer in
            let part = UnsafeRawBufferPointer(rebasing: buffer.dropFirst(offset))
            do throws(Errno) { result = try write(part) } catch { failure = error }
        }
        if let failure { throw failure }
        return result
    }

    /// Writes all of `bytes`; only for a descriptor that blocks.
    public func writeAll(_ bytes: [UInt8]) throws(Errno) {
        var done = 0
        while done < bytes.count { done += try write(bytes, from: done) }
    }

    /// Everything up to the end of the file, but at most `limit` bytes; one more is `messageTooLong`.
    public func readAll(limit: Int) throws(Errno) -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let part = try read(upTo: min(65535, limit - all.count) + 1)
            if part.isEmpty { return all }
            all += part
            if all.count > limit { throw .messageTooLong }
        }
    }

    public var isTerminal: Bool { isatty(raw) == 1 }
}

/// A descriptor that several objects may hold; closed with the last of them.
public final class SharedDescriptor: Sendable {
    public let descriptor: FileDescriptor
    public var raw: CInt { descriptor.raw }

    public init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}

/// Pipes, both ends close-on-exec.
public enum Pipes {
    public struct Pair: ~Copyable {
        public let reader: FileDescriptor
        public let writer: FileDescriptor
    }

    public static func make() throws(Errno) -> Pair {
        var fds: [CInt] = [-1, -1]
        _ = try once { clinux_pipe(&fds, O_CLOEXEC) }
        return Pair(reader: FileDescriptor(owning: fds[0]), writer: FileDescriptor(owning: fds[1]))
    }
}

import CLinux

/// An error number of the kernel, read right after the call that set it.
public struct Errno: Error, RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: CInt

    public init(rawValue: CInt) { self.rawValue = rawValue }

    /// The calling thread's errno. Read it before anything else can disturb it.
    public static var current: Errno { Errno(rawValue: clinux_errno()) }

    public static let notPermitted = Errno(rawValue: EPERM)
    public static let noSuchFile = Errno(rawValue: ENOENT)
    public static let noSuchProcess = Errno(rawValue: ESRCH)
    public static let interrupted = Errno(rawValue: EINTR)
    public static let ioError = Errno(rawValue: EIO)
    public static let badFileDescriptor = Errno(rawValue: EBADF)
    public static let wouldBlock = Errno(rawValue: EAGAIN)
    public static let outOfMemory = Errno(rawValue: ENOMEM)
    public static let accessDenied = Errno(rawValue: EACCES)
    public static let badAddress = Errno(rawValue: EFAULT)
    public static let busy = Errno(rawValue: EBUSY)
    public static let fileExists = Errno(rawValue: EEXIST)
    public static let notDirectory = Errno(rawValue: ENOTDIR)
    public static let isDirectory = Errno(rawValue: EISDIR)
    public static let invalidArgument = Errno(rawValue: EINVAL)
    public static let notTerminal = Errno(rawValue: ENOTTY)
    public static let brokenPipe = Errno(rawValue: EPIPE)
    public static let tooLong = Errno(rawValue: ENAMETOOLONG)
    public static let notSupported = Errno(rawValue: EOPNOTSUPP)
    public static let noAttribute = Errno(rawValue: ENODATA)
    public static let notEmpty = Errno(rawValue: ENOTEMPTY)
    public static let messageTooLong = Errno(rawValue: EMSGSIZE)
    public static let inProgress = Errno(rawValue: EINPROGRESS)
    public static let connectionRefused = Errno(rawValue: ECONNREFUSED)
    public static let connectionReset = Errno(rawValue: ECONNRESET)
    public static let hostUnreachable = Errno(rawValue: EHOSTUNREACH)
    public static let timedOut = Errno(rawValue: ETIMEDOUT)
    public static let noRoom = Errno(rawValue: ENOSPC)
    public static let quotaExceeded = Errno(rawValue: EDQUOT)
    public static let crossDevice = Errno(rawValue: EXDEV)

    /// The kernel's words, in English whatever the locale: "No such file or directory".
    public var description: String { String(cString: clinux_strerror(rawValue)) }
}

/// Runs a system call that answers -1 and errno, again while a signal interrupts it.
@inline(__always)
public func retrying<T: SignedInteger>(_ call: () -> T) throws(Errno) -> T {
    while true {
        let result = call()
        if result != -1 { return result }
        let error = Errno.current
        if error != .interrupted { throw error }
    }
}

/// The same for a call that must not be tried again: close(2), or one whose interruption matters.
@inline(__always)
public func once<T: SignedInteger>(_ call: () -> T) throws(Errno) -> T {
    let result = call()
    if result == -1 { throw Errno.current }
    return result
}

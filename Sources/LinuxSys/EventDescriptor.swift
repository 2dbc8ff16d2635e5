import CLinux

/// An eventfd: a counter that one side raises and another waits for.
public struct EventDescriptor: ~Copyable, Sendable {
    public let descriptor: FileDescriptor
    public var raw: CInt { descriptor.raw }

    public init() throws(Errno) {
        let flags = CInt(EFD_CLOEXEC) | CInt(EFD_NONBLOCK)
        descriptor = FileDescriptor(owning: try once { eventfd(0, flags) })
    }

    /// Takes over an eventfd that a peer sent.
    public init(adopting descriptor: consuming FileDescriptor) { self.descriptor = descriptor }

    /// Adds one. A full counter (EAGAIN) has been raised already: no failure.
    public func signal() throws(Errno) {
        var one: UInt64 = 1
        do throws(Errno) { _ = try retrying { CLinux.write(raw, &one, 8) } } catch .wouldBlock {} catch { throw error }
    }

    /// Takes the count and resets it; 0 when it was not raised.
    @discardableResult
    public func drain() throws(Errno) -> UInt64 {
        var count: UInt64 = 0
        do throws(Errno) { _ = try retrying { CLinux.read(raw, &count, 8) } } catch .wouldBlock { return 0 } catch {
            throw error
        }
        return count
    }
}

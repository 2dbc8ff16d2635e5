/// One component of a path, as its bytes: names need not be UTF-8. Never empty, ".", "..", longer than 255 bytes, or with
/// a "/" or a NUL in it, so that it can't lead out of its directory.
public struct FileName: Hashable, Sendable {
    public static let mostBytes = 255

    /// Ends with a NUL, for the system calls.
    let terminated: [UInt8]

    /// The bytes, without the NUL.
    public var bytes: ArraySlice<UInt8> { terminated.dropLast() }

    /// nil when it is no name.
    public init?(_ bytes: ArraySlice<UInt8>) {
        guard !bytes.isEmpty, bytes.count <= Self.mostBytes else { return nil }
        if bytes.first == 0x2E, bytes.count == 1 || (bytes.count == 2 && bytes.last == 0x2E) { return nil }
        for byte in bytes where byte == 0 || byte == 0x2F { return nil }
        var terminated: [UInt8] = []
        terminated.reserveCapacity(bytes.count + 1)
        terminated.append(contentsOf: bytes)
        terminated.append(0)
        self.terminated = terminated
    }

    public init?(_ text: String) { self.init(Array(text.utf8)[...]) }

    func withPointer<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        terminated.withUnsafeBytes { bytes in
            // Never empty, so there is a base address.
            body(bytes.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self))
        }
    }
}

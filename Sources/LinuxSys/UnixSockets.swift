import CLinux

/// The Unix sockets of this network namespace, as the kernel lists them.
public enum UnixSockets {
    public enum Kind: String, Sendable {
        case stream, datagram, seqpacket
    }

    /// What kind of socket is bound at a path; nil: none that the kernel knows.
    public static func type(of path: String) -> Kind? {
        // "Num RefCount Protocol Flags Type St Inode Path", the type in hexadecimal.
        let text = String(decoding: (try? File.read("/proc/net/unix", limit: 16 << 20)) ?? [], as: UTF8.self)
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 7)
            guard words.count == 8, words[7] == path else { continue }
            switch words[4] {
            case "0001": return .stream
            case "0002": return .datagram
            case "0005": return .seqpacket
            default: return nil
            }
        }
        return nil
    }
}

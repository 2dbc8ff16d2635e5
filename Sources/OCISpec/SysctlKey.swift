/// Names of kernel parameters.
public enum SysctlKey {
    /// The file of a parameter below /proc/sys: "net/ipv4/ip_forward" for "net.ipv4.ip_forward".
    ///
    /// As of sysctl(8), the first separator tells which of '.' and '/' separates; the other is then a dot of a name
    /// (of a VLAN: "net/ipv4/conf/eth0.100/rp_filter"). nil if the key would lead elsewhere or is no name.
    public static func path(of key: String) -> String? {
        let dot = UInt8(ascii: ".")
        let slash = UInt8(ascii: "/")
        let separator = key.utf8.first { $0 == dot || $0 == slash } ?? slash
        let bytes = key.utf8.map { byte in
            switch byte {
            case dot: separator == dot ? slash : dot
            case slash: separator == dot ? dot : slash
            default: byte
            }
        }
        let names = bytes.split(separator: slash, omittingEmptySubsequences: false)
        guard bytes.count <= 1024, names.count >= 2, names.allSatisfy(isName) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let ofIPC: Set<String> = [
        "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
    ]

    /// The kind of namespace that a parameter belongs to; nil: there is one in a kernel.
    public static func namespace(of key: String) -> Linux.Namespace.Kind? {
        guard let path = path(of: key) else { return nil }
        if ofIPC.contains(path) || path.hasPrefix("fs/mqueue/") { return .ipc }
        if path.hasPrefix("net/") { return .network }
        return path == "kernel/domainname" ? .uts : nil
    }

    /// Not empty, neither "." nor "..", and of printable ASCII.
    private static func isName(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.contains { $0 != UInt8(ascii: ".") } && bytes.count <= 255 && bytes.allSatisfy { 0x20 < $0 && $0 < 0x7F }
    }
}

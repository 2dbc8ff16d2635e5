/// The resources of setrlimit(2), by the names of the specification.
public enum RlimitResource {
    /// The number of a name such as "RLIMIT_NOFILE", on x86-64; nil if there is no such resource.
    public static func number(of name: String) -> Int32? {
        guard name.utf8.allSatisfy({ $0 < 0x80 }), let index = names.firstIndex(of: name) else { return nil }
        return Int32(index)
    }

    /// Every name; its place is its number (asm-generic/resource.h).
    public static let names = [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC",
        "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE",
        "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ]
}

extension Process.Rlimit {
    /// The number of the resource, for setrlimit(2); nil if the name is unknown, which `validate()` refuses.
    public var resource: Int32? { RlimitResource.number(of: type) }
}

import Glibc
import LinuxSys

enum Timestamp {
    /// RFC 3339 in UTC with nanoseconds, as Go writes it.
    static func now() -> String { text(Clock.realtimeNanoseconds()) }

    static func text(_ nanoseconds: UInt64) -> String {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        let fraction = String(String(1_000_000_000 + nanoseconds % 1_000_000_000).dropFirst())
        return "\(date)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(fraction)Z"
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

enum HostSize {
    static var cpus: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    static var memoryMiB: Int {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        return max(1, pages / 256)
    }
}

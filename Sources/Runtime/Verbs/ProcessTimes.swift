import Glibc

/// Times as ps(1) writes them.
enum ProcessTimes {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    private static func two(_ number: some BinaryInteger) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// `[DD-]HH:MM:SS`
    static func used(seconds: UInt64) -> String {
        let time = "\(two(seconds / 3600 % 24)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
        return seconds >= 86400 ? "\(two(seconds / 86400))-\(time)" : time
    }

    /// `M:SS`, as BSD has it.
    static func brief(seconds: UInt64) -> String { "\(seconds / 60):\(two(seconds % 60))" }

    /// `[[DD-]HH:]MM:SS`
    static func elapsed(seconds: UInt64) -> String {
        seconds >= 3600 ? used(seconds: seconds) : "\(two(seconds / 60)):\(two(seconds % 60))"
    }

    /// A moment: the time if it was today, the day if it was this year, else the year.
    static func moment(_ seconds: Int, now: Int, withSeconds: Bool = false) -> String {
        let then = local(seconds)
        let today = local(now)
        guard then.tm_year == today.tm_year else { return "\(then.tm_year &+ 1900)" }
        guard then.tm_yday == today.tm_yday else {
            let month = months.indices.contains(Int(then.tm_mon)) ? months[Int(then.tm_mon)] : "?"
            return month + (withSeconds ? " " : "") + two(then.tm_mday)
        }
        return "\(two(then.tm_hour)):\(two(then.tm_min))" + (withSeconds ? ":\(two(then.tm_sec))" : "")
    }

    private static func local(_ seconds: Int) -> tm {
        var moment = time_t(seconds)
        var parts = tm()
        localtime_r(&moment, &parts)
        return parts
    }
}

import CLinux

/// What a process gives up for good, and other settings of itself (prctl(2), close_range(2)).
public enum ProcessControl {
    /// Has the kernel send `signal` to this process when its parent (the thread that made it) ends. A parent that had
    /// ended before is not noticed.
    public static func dieWithParent(signal: CInt = SIGKILL) throws(Errno) {
        _ = try once { clinux_prctl(PR_SET_PDEATHSIG, UInt(bitPattern: Int(signal))) }
    }

    /// Ends a child that has nothing more to say, and reaps it.
    public static func end(_ pid: pid_t) {
        kill(pid, SIGKILL)
        _ = try? Processes.wait(pid)
    }

    /// From now on processes below this one that lose their parent become children of this process.
    public static func adoptOrphans() throws(Errno) { _ = try once { clinux_prctl(PR_SET_CHILD_SUBREAPER, 1) } }

    /// What ps and top call this process: at most 15 bytes.
    public static func call(_ name: String) {
        _ = name.withCString { clinux_prctl(PR_SET_NAME, UInt(bitPattern: $0)) }
    }

    /// No execve(2) gains privileges any more.
    public static func denyNewPrivileges() throws(Errno) { _ = try once { clinux_prctl(PR_SET_NO_NEW_PRIVS, 1) } }

    /// Not to be traced or read by processes of the same user, and no core dump: it would hold the guest's memory.
    public static func denyDumping() throws(Errno) {
        _ = try once { clinux_prctl(PR_SET_DUMPABLE, 0) }
    }

    /// Closes every descriptor but `kept`; of stdin, stdout and stderr none is closed.
    public static func closeDescriptors(except kept: [CInt]) throws(Errno) {
        var first: UInt32 = 3
        for fd in kept.filter({ $0 >= 3 }).sorted() {
            let number = UInt32(fd)
            if number > first { _ = try once { clinux_close_range(first, number - 1, 0) } }
            first = max(first, number + 1)
        }
        _ = try once { clinux_close_range(first, UInt32.max, 0) }
    }

    /// Drops every capability, also from the bounding and the ambient set where that is allowed.
    public static func dropCapabilities() throws(Errno) { _ = try once { clinux_drop_capabilities() } }
}

extension ProcessControl {
    /// Lets another thread that waits for this processor have it (sched_yield(2)).
    public static func yield() { sched_yield() }

    /// Processors that this thread may run on (sched_getaffinity(2)); 1 where that can't be asked.
    public static var processors: Int { max(Int(clinux_processors()), 1) }

    /// A write to a socket or pipe without a reader is EPIPE, and not the process's end.
    public static func ignoreBrokenPipes() { Signals.ignore(SIGPIPE) }

    /// Opens /dev/null for each of stdin, stdout and stderr that the caller has closed: else the next file that is
    /// opened would be taken for it.
    public static func openMissingStandardStreams() {
        for number in CInt(0)...2 where clinux_fcntl(number, F_GETFD, 0) < 0 {
            // open(2) takes the lowest number that is free, which is this one.
            _ = clinux_open("/dev/null", O_RDWR, 0)
        }
    }

    /// Allows as many as `count` descriptors, or as many as the hard limit does.
    public static func allowDescriptors(_ count: UInt64) throws(Errno) {
        var limit = rlimit()
        _ = try once { clinux_get_descriptor_limit(&limit) }
        guard limit.rlim_cur < count else { return }
        limit.rlim_cur = min(rlim_t(count), limit.rlim_max)
        _ = try once { clinux_set_descriptor_limit(&limit) }
    }

    /// Lifts the limits of file sizes, memory and processor time as far as this process may: a guest's memory is a file, and
    /// a guest's time is not its maker's.
    public static func raiseLimits() { clinux_raise_limits() }

    /// How many descriptors this process may have.
    public static func descriptorLimit() throws(Errno) -> UInt64 {
        var limit = rlimit()
        _ = try once { clinux_get_descriptor_limit(&limit) }
        return UInt64(limit.rlim_cur)
    }

    /// exit(3).
    public static func exit(_ code: CInt) -> Never { CLinux.exit(code) }

    /// Gives back the memory of code and constants that only the start needed: for a process that lives long and does
    /// little. What it uses is mapped again from the page cache.
    public static func releaseCodePages() { clinux_release_code_pages() }
}

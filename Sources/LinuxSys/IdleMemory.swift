import CLinux

/// The memory of a process that has little left to do.
public enum IdleMemory {
    /// Gives up the pages of this program's own code that were needed to start: argument parsing, decoding, whatever lay
    /// around it on disk. They come back from the page cache, one by one, if they are wanted again.
    public static func releaseCode() {
        guard let path = try? File.readLink("/proc/self/exe"),
            let maps = try? File.read("/proc/self/maps", limit: 1 << 20)
        else { return }
        for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") where line.hasSuffix(path) {
            let fields = line.split(separator: " ", maxSplits: 2)
            let ends = fields.first?.split(separator: "-").compactMap { UInt($0, radix: 16) } ?? []
            // Only what can't have been written to: a private page that was is lost with this.
            guard fields.count == 3, fields[1] == "r-xp", ends.count == 2, ends[0] < ends[1] else { continue }
            guard let base = UnsafeMutableRawPointer(bitPattern: ends[0]) else { continue }
            let length = Int(ends[1] - ends[0])
            // The next faults bring in single pages, not their neighbours.
            madvise(base, length, MADV_RANDOM)
            madvise(base, length, MADV_DONTNEED)
        }
    }
}

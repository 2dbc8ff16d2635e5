import FileCalls

/// Bounds the memory for what was read ahead of open directories, of which a guest may have thousands: those that were read
/// first give theirs up.
final class DirectoryBuffers: @unchecked Sendable {
    /// Some 45 KiB each.
    static let most = 128

    private struct Reader {
        weak var directory: OpenDirectory?
    }

    private let monitor = Monitor()
    /// Guarded by the monitor.
    private var readers: [Reader] = []

    /// The directory has been read. Its own monitor is not held.
    func note(_ directory: OpenDirectory) {
        let excess = monitor.withLock { () -> [OpenDirectory] in
            guard !directory.isNoted else { return [] }
            add(directory)
            if readers.count > Self.most { readers.removeAll { $0.directory == nil } }
            let count = readers.count - Self.most
            guard count > 0 else { return [] }
            defer { readers.removeFirst(count) }
            let oldest = readers.prefix(count).compactMap(\.directory)
            for directory in oldest { directory.isNoted = false }
            return oldest
        }
        // One that is being read at this moment is as good as new.
        for directory in excess where !directory.giveUpBuffers() { monitor.withLock { add(directory) } }
    }

    /// With the monitor held.
    private func add(_ directory: OpenDirectory) {
        guard !directory.isNoted else { return }
        directory.isNoted = true
        readers.append(Reader(directory: directory))
    }
}

import AgentProtocol
import CLinux
import LinuxSys

/// Finds out which files of shared trees processes of the guest watch. The kernel tells nobody when a watch is made, but
/// it lists them in /proc/<pid>/fdinfo; that is looked through once a second, or less often where there is much of it: a
/// few milliseconds at a time, and no more than a twentieth of the time. What there is is up to the containers.
final class WatchScanner {
    private static let milliseconds: UInt64 = 1000
    /// Of one turn; longer than that nobody else is kept waiting, but by a single file or folder of /proc.
    private static let nanosecondsOfTurn: UInt64 = 5_000_000
    private static let shareOfTime: UInt64 = 20
    /// Processes that may have more descriptors are passed over.
    private static let mostDescriptors: UInt64 = 16384
    /// Bytes of one descriptor's list.
    private static let mostText = 128 << 10
    /// As the host takes them.
    private static let mostWatched = 1024

    private let loop: EventLoop
    /// All of the share is one file system, in which the device has given each inode a number of its own.
    private let trees: [String]
    private var device: UInt64?
    private var told: [UInt64] = []
    /// What of this round is left: processes, and descriptors of the one that is being looked at.
    private var processes: [String] = []
    private var process = ""
    private var descriptors: [String] = []
    private var found: [UInt64] = []
    private var next: EventLoop.Token = 0
    private let tell: (WatchedFiles) -> Void

    /// - Parameters:
    ///   - share: where the share is mounted.
    ///   - names: trees of which the host's changes matter.
    init(_ loop: EventLoop, share: String, trees names: [String], tell: @escaping (WatchedFiles) -> Void) {
        self.loop = loop
        self.tell = tell
        trees = names
        var status = stat()
        guard stat(share, &status) == 0 else { return }
        // As fdinfo has it.
        let major = UInt64((status.st_dev >> 8) & 0xfff)
        let minor = UInt64((status.st_dev & 0xff) | ((status.st_dev >> 12) & 0xfff00))
        device = major << 20 | minor
        schedule(milliseconds: Self.milliseconds)
    }

    /// Looks no more.
    func stop() { loop.cancel(next) }

    private func schedule(milliseconds: UInt64) {
        next = loop.after(milliseconds: milliseconds) { [self] in
            let began = Clock.monotonicNanoseconds()
            if processes.isEmpty, descriptors.isEmpty { begin() }
            while step(), Clock.monotonicNanoseconds() - began < Self.nanosecondsOfTurn {}
            // The time can be over with the last of them as well.
            let isOver = processes.isEmpty && descriptors.isEmpty
            if isOver { finish() }
            let spent = (Clock.monotonicNanoseconds() - began) / 1_000_000
            schedule(milliseconds: max(isOver ? Self.milliseconds : 1, spent * Self.shareOfTime))
        }
    }

    private func begin() {
        found = []
        // The agent itself watches nothing.
        processes = ((try? File.list("/proc")) ?? []).filter { name in
            name != "1" && name.utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
        }
    }

    /// - Returns: whether there was something to look at.
    private func step() -> Bool {
        guard let descriptor = descriptors.popLast() else {
            guard let process = processes.popLast() else { return false }
            self.process = process
            if Self.hasFewDescriptors(process) { descriptors = (try? File.list("/proc/\(process)/fd")) ?? [] }
            return true
        }
        guard let target = try? File.readLink("/proc/\(process)/fd/\(descriptor)"),
            target == "anon_inode:inotify" || target == "anon_inode:[fanotify]",
            let text = try? File.readStart("/proc/\(process)/fdinfo/\(descriptor)", count: Self.mostText)
        else { return true }
        Self.watches(in: text) { inode, device in
            if device == self.device, found.count < Self.mostWatched { found.append(inode) }
        }
        return true
    }

    /// By the size of its table (`FDSize`).
    private static func hasFewDescriptors(_ process: String) -> Bool {
        guard let text = try? File.readStart("/proc/\(process)/status", count: 4096) else { return false }
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "FDSize:".utf8) {
            let digits = line.dropFirst(7).filter { (48...57).contains($0) }.prefix(10)
            return digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - 48) } <= mostDescriptors
        }
        return false
    }

    private func finish() {
        let inodes = Self.sorted(found)
        guard inodes != told else { return }
        told = inodes
        // Each tree knows its own.
        for tree in trees { tell(WatchedFiles(tree: tree, inodes: inodes)) }
    }

    private static func sorted(_ inodes: [UInt64]) -> [UInt64] {
        var result: [UInt64] = []
        for inode in inodes.sorted() where result.last != inode { result.append(inode) }
        return result
    }

    /// The watches in an fdinfo file: "inotify wd:1 ino:9e7e sdev:800013 mask:…", "fanotify ino:… sdev:… …".
    static func watches(in text: [UInt8], _ body: (UInt64, UInt64) -> Void) {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            var words = line.split(separator: UInt8(ascii: " ")).makeIterator()
            guard let first = words.next(),
                first.elementsEqual("inotify".utf8) || first.elementsEqual("fanotify".utf8)
            else { continue }
            var inode: UInt64?
            var device: UInt64?
            while let word = words.next() {
                if word.starts(with: "ino:".utf8) { inode = hexadecimal(word.dropFirst(4)) }
                if word.starts(with: "sdev:".utf8) { device = hexadecimal(word.dropFirst(5)) }
            }
            if let inode, let device { body(inode, device) }
        }
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard !digits.isEmpty, digits.count <= 16 else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case 48...57: value = value << 4 | UInt64(digit - 48)
            case 97...102: value = value << 4 | UInt64(digit - 87)
            default: return nil
            }
        }
        return value
    }
}

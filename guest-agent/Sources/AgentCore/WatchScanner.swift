import AgentProtocol
import CLinux
import LinuxSys

/// Finds out which files of shared trees processes of the guest watch. The kernel tells nobody when a watch is made, but
/// it lists them in /proc/<pid>/fdinfo; that is looked through once a second, or less often where there is so much
/// of it that it would take more than a hundredth of the time.
final class WatchScanner {
    private static let leastMilliseconds: UInt64 = 1000
    private static let shareOfTime: UInt64 = 100
    /// As the host takes them.
    private static let mostWatched = 1024

    private let loop: EventLoop
    /// All of the share is one file system, in which the device has given each inode a number of its own.
    private let trees: [String]
    private var device: UInt64?
    private var told: [UInt64] = []
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
        schedule(after: 0)
    }

    /// Looks no more.
    func stop() { loop.cancel(next) }

    private func schedule(after spent: UInt64) {
        next = loop.after(milliseconds: max(Self.leastMilliseconds, spent * Self.shareOfTime)) { [self] in
            let began = Clock.monotonicNanoseconds()
            scan()
            schedule(after: (Clock.monotonicNanoseconds() - began) / 1_000_000)
        }
    }

    private func scan() {
        var found: [UInt64] = []
        for process in (try? File.list("/proc")) ?? [] where process.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) {
            // The agent itself watches nothing.
            if process == "1" { continue }
            for fd in (try? File.list("/proc/\(process)/fd")) ?? [] {
                guard let target = try? File.readLink("/proc/\(process)/fd/\(fd)"),
                    target == "anon_inode:inotify" || target == "anon_inode:[fanotify]",
                    let text = try? File.read("/proc/\(process)/fdinfo/\(fd)", limit: 1 << 20)
                else { continue }
                Self.watches(in: text) { inode, device in
                    if device == self.device, found.count < Self.mostWatched { found.append(inode) }
                }
            }
        }
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

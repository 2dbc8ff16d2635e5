import AgentProtocol
import CLinux
import LinuxSys

/// A container's cgroup.
public struct Cgroup: Sendable {
    public let path: String
    /// How many directories below the hierarchy's root it is.
    private let depth: Int

    init(path: String, depth: Int) {
        self.path = path
        self.depth = depth
    }

    /// The directory, for clone3(2) to make a process in.
    public func directory() throws(Errno) -> FileDescriptor { try FileDescriptor.directory(path) }

    /// The directory of one below it; `names` hold no "..".
    public func directory(below names: [String]) throws(Errno) -> FileDescriptor {
        try FileDescriptor.directory(([path] + names).joined(separator: "/"))
    }

    /// The directory of the cgroup that a process of it is in, which may be one below it; nil: it is in none.
    public func group(of pid: pid_t) throws(Errno) -> FileDescriptor? {
        let text = String(decoding: try File.readStart("/proc/\(pid)/cgroup", count: 4096), as: UTF8.self)
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
        // The hierarchy's root is where this one's path begins.
        var root = path
        for _ in 0..<depth {
            guard let slash = root.lastIndex(of: "/") else { return nil }
            root = String(root[..<slash])
        }
        let place = root + line.dropFirst(3)
        guard place == path || place.hasPrefix(path + "/") else { return nil }
        return try FileDescriptor.directory(place)
    }

    /// Writes limits. The setting that failed is in the error.
    public func apply(_ settings: [CgroupSetting]) throws(CgroupError) {
        for setting in settings {
            do throws(Errno) {
                try write(setting.value, to: setting.file)
            } catch {
                if setting.isOptional && error == .noSuchFile { continue }
                throw CgroupError(setting: setting, errno: error)
            }
        }
    }

    /// Has a program decide which devices its processes may use.
    public func filterDevices(_ program: [UInt8]) throws(CgroupError) {
        do throws(Errno) {
            let directory = try FileDescriptor.open(path, O_RDONLY | O_DIRECTORY)
            _ = try once { clinux_filter_devices(directory.raw, program, UInt32(program.count / 8)) }
        } catch {
            throw CgroupError(setting: CgroupSetting("the device filter", "a program"), errno: error)
        }
    }

    /// Kills every process in it and below, those that are being made too.
    public func kill() throws(Errno) { try write("1", to: "cgroup.kill") }

    /// Whether a process lives in it or below.
    public var isPopulated: Bool { event("populated", in: "cgroup.events") != 0 }

    /// Whether a process of it was killed for want of memory.
    public var oomKilled: Bool { oomKills > 0 }

    /// How many processes of it were.
    public var oomKills: UInt64 { event("oom_kill", in: "memory.events").map { UInt64(clamping: $0) } ?? 0 }

    /// Stops every process in it and below where it is, or lets them go on; `isFrozen` tells when it has happened.
    public func freeze(_ frozen: Bool) throws(Errno) { try write(frozen ? "1" : "0", to: "cgroup.freeze") }

    public var isFrozen: Bool { event("frozen", in: "cgroup.events") == 1 }

    /// The processes in it and below, as the guest numbers them.
    public func processes() -> [pid_t] { Self.processes(in: path, deeper: 32) }

    /// Removes it and what its processes made below it, and then those above that are empty. What still has a
    /// process stays.
    public func remove() {
        Self.remove(path, deeper: 32)
        var above = path
        for _ in 1..<max(1, depth) {
            guard let slash = above.lastIndex(of: "/") else { return }
            above = String(above[..<slash])
            if rmdir(above) != 0 { return }
        }
    }

    private func write(_ value: String, to file: String) throws(Errno) {
        let file = try FileDescriptor.open(path + "/" + file, O_WRONLY)
        // One write is one setting: the rest of a short one must not follow as another.
        guard try file.write(Array(value.utf8)) == value.utf8.count else { throw .ioError }
    }

    /// A value of a file of "key value" lines; nil if it is not there.
    private func event(_ key: String, in file: String) -> Int? {
        guard let bytes = try? File.read(path + "/" + file, limit: 4096) else { return nil }
        return Self.value(key, in: bytes)
    }

    /// The value of a line "key value".
    public static func value(_ key: String, in bytes: [UInt8]) -> Int? {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, words[0] == key { return Int(words[1]) }
        }
        return nil
    }

    private static func children(of path: String) -> [String] {
        ((try? File.list(path)) ?? []).map { path + "/" + $0 }.filter(File.isDirectory)
    }

    private static func processes(in path: String, deeper: Int) -> [pid_t] {
        let bytes = (try? File.read(path + "/cgroup.procs", limit: 1 << 20)) ?? []
        var pids = String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { pid_t($0) }
        if deeper > 0 { for child in children(of: path) { pids += processes(in: child, deeper: deeper - 1) } }
        return pids.filter { $0 > 0 }
    }

    private static func remove(_ path: String, deeper: Int) {
        if rmdir(path) == 0 || deeper == 0 { return }
        for child in children(of: path) { remove(child, deeper: deeper - 1) }
        rmdir(path)
    }
}

/// A limit that the kernel didn't take.
public struct CgroupError: Error, Equatable, Sendable, CustomStringConvertible {
    public let setting: CgroupSetting
    public let errno: Errno

    public init(setting: CgroupSetting, errno: Errno) {
        self.setting = setting
        self.errno = errno
    }

    public var description: String {
        "cgroup: writing \(setting.value) to \(setting.file): \(errno)"
    }
}

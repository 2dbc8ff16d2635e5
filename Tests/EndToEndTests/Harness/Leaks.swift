import Glibc
import LinuxSys

/// What a test may have left on the host.
enum Leaks {
    struct Found: CustomStringConvertible {
        var processes: [pid_t] = []
        var mounts: [String] = []
        var files: [String] = []

        var isEmpty: Bool { processes.isEmpty && mounts.isEmpty && files.isEmpty }

        var description: String {
            let commands = processes.map { "\($0) (\(Leaks.command(of: $0).prefix(200)))" }
            return [("processes", commands), ("mounts", mounts), ("files", files)].filter { !$0.1.isEmpty }
                .map { "\($0.0): \($0.1.joined(separator: ", "))" }.joined(separator: "; ")
        }
    }

    /// Orphans of what the tests start become children of this process, so that nothing can get out of sight.
    static let adoption = Result<Void, any Error> {
        try ProcessControl.adoptOrphans()
        // A program that ends before it has read all that the test writes must not end the test.
        ProcessControl.ignoreBrokenPipes()
    }

    /// What is there below `directory` and below this process. Ended orphans are reaped on the way.
    static func find(root: String, directory: String) -> Found {
        var found = Found()
        found.processes = descendants()
        let mounts = (try? Files.text("/proc/self/mounts")) ?? ""
        found.mounts = mounts.split(separator: "\n").filter { $0.contains(directory) }.map(String.init)
        found.files = ((try? File.list(root)) ?? []) + cgroups(prefix: "e2e-\(getpid())-")
        return found
    }

    /// Cgroups of the tests' containers, which are made below that of the tests.
    static func cgroups(prefix: String) -> [String] {
        let own = ((try? Files.text("/proc/self/cgroup")) ?? "").split(separator: "\n").compactMap {
            $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).last.map(String.init)
        }
        let mounts = ((try? Files.text("/proc/self/mounts")) ?? "").split(separator: "\n").compactMap {
            line -> String? in
            let words = line.split(separator: " ")
            return words.count > 2 && words[2].hasPrefix("cgroup") ? String(words[1]) : nil
        }
        return mounts.flatMap { mount in
            Set(own).flatMap { path in
                ((try? File.list(mount + path)) ?? []).filter { $0.hasPrefix(prefix) }.map { mount + path + "/" + $0 }
            }
        }
    }

    /// Every process below this one that has not ended.
    static func descendants() -> [pid_t] {
        let parents = Dictionary(
            uniqueKeysWithValues: ((try? File.list("/proc")) ?? []).compactMap { pid_t($0) }
                .compactMap { pid in parent(of: pid).map { (pid, $0) } })
        return parents.keys.filter { pid in
            var ancestor = parents[pid]
            while let current = ancestor, current != getpid() { ancestor = parents[current] }
            guard ancestor != nil else { return false }
            guard Processes.state(of: pid) == "Z", parents[pid] == getpid() else {
                return Processes.state(of: pid) != nil
            }
            if !Running.own.contains(pid) { _ = try? Processes.reap(pid) }
            return false
        }.sorted()
    }

    static func parent(of pid: pid_t) -> pid_t? {
        guard let stat = try? Files.text("/proc/\(pid)/stat"), let end = stat.lastIndex(of: ")") else { return nil }
        return stat[stat.index(after: end)...].split(separator: " ").dropFirst().first.flatMap { pid_t($0) }
    }

    static func command(of pid: pid_t) -> String {
        ((try? Files.text("/proc/\(pid)/cmdline")) ?? "").split(separator: "\0").joined(separator: " ")
    }
}

import LinuxSys

/// A hierarchy of cgroups that is mounted on the host.
struct CgroupHierarchy: Equatable {
    var mount: String
    /// Of cgroup v1; empty for v2, whose directories say themselves what they have.
    var controllers: [String]
    var isUnified: Bool
    /// Where this process is in it, below the mount.
    var own: String

    /// Below which relative paths are. That of v2 is one up: a cgroup with processes can't give controllers to those below
    /// it, and this process is in its own.
    var base: String {
        guard isUnified else { return own == "/" ? "" : own }
        return String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)])
    }

    /// Those that containers are put into: all of v1 where there are some (v2 beside them has no controllers that count),
    /// else v2.
    static func all() throws(Errno) -> [CgroupHierarchy] {
        func text(_ file: String) throws(Errno) -> String {
            String(decoding: try File.read("/proc/self/" + file, limit: 1 << 20), as: UTF8.self)
        }
        return all(mountinfo: try text("mountinfo"), cgroup: try text("cgroup"))
    }

    static func all(mountinfo: String, cgroup: String) -> [CgroupHierarchy] {
        // "4:cpu,cpuacct:/path": by the controllers; v2 has none.
        var own: [String: String] = [:]
        for line in cgroup.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            if parts.count == 3 { own[String(parts[1])] = String(parts[2]) }
        }
        var found: [CgroupHierarchy] = []
        for line in mountinfo.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), words.count > dash + 3, dash > 5 else { continue }
            let (root, mount, type) = (String(words[3]), String(words[4]), words[dash + 1])
            let options = Set(words[dash + 3].split(separator: ",").map(String.init))
            let isUnified = type == "cgroup2"
            guard isUnified || type == "cgroup" else { continue }
            let key = own.keys.first { key in
                isUnified
                    ? key.isEmpty
                    : !key.isEmpty && Set(key.split(separator: ",").map(String.init)).isSubset(of: options)
            }
            guard let key, let path = own[key], !found.contains(where: { $0.mount == mount }) else { continue }
            found.append(
                CgroupHierarchy(
                    mount: mount, controllers: isUnified ? [] : key.split(separator: ",").map(String.init),
                    isUnified: isUnified, own: below(root, path)))
        }
        let old = found.filter { !$0.isUnified }
        return old.contains { $0.controllers.contains("memory") || $0.controllers.contains("cpu") }
            ? old : found.filter(\.isUnified)
    }

    /// What a mount of part of a hierarchy shows of a path.
    private static func below(_ root: String, _ path: String) -> String {
        guard root != "/", path.hasPrefix(root) else { return path }
        let rest = String(path.dropFirst(root.count))
        return rest.isEmpty ? "/" : rest
    }
}

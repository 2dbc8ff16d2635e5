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

    /// Those that containers are put into: all of v1 where there are some, and v2, if it has controllers, or nothing is
    /// beside it. Joining one takes a while (`HostCgroup.move`).
    /// - Parameter withEmpty: v2 in any case; in the hybrid form systemd keeps its processes apart by it.
    static func all(withEmpty: Bool) throws(Errno) -> [CgroupHierarchy] {
        func text(_ file: String) throws(Errno) -> String {
            String(decoding: try File.read("/proc/self/" + file, limit: 1 << 20), as: UTF8.self)
        }
        return all(mountinfo: try text("mountinfo"), cgroup: try text("cgroup")) { mount in
            if withEmpty { return true }
            let bytes = (try? File.readStart(mount + "/cgroup.controllers", count: 4096)) ?? []
            return bytes.contains { $0 > 32 }
        }
    }

    /// - Parameter counts: whether v2, mounted there, is of use beside v1
    static func all(
        mountinfo: String, cgroup: String, counts: (String) -> Bool
    ) -> [CgroupHierarchy] {
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
        // Where v2 has all controllers, there may still be a v1 of none, for programs that look for systemd's.
        let hasOld = found.contains { $0.controllers.contains { !$0.hasPrefix("name=") } }
        return found.filter { $0.isUnified ? !hasOld || counts($0.mount) : hasOld }
    }

    /// What a mount of part of a hierarchy shows of a path.
    private static func below(_ root: String, _ path: String) -> String {
        guard root != "/", path.hasPrefix(root) else { return path }
        let rest = String(path.dropFirst(root.count))
        return rest.isEmpty ? "/" : rest
    }
}

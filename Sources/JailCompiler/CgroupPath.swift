/// Where a container's cgroup is, below the guest's root.
public enum CgroupPath {
    /// The names of the directories, outermost first: `cgroupsPath` without what could lead out of the tree, or the
    /// container's id if it says nothing.
    public static func names(cgroupsPath: String, container: String) -> [String] {
        let names = parts(cgroupsPath)
        if !names.isEmpty { return names }
        let fallback = parts(container)
        return fallback.isEmpty ? ["container"] : fallback
    }

    /// The names in a path, without what could lead out of a tree.
    public static func parts(_ path: String) -> [String] {
        path.utf8.split(separator: UInt8(ascii: "/"))
            .map { String(Substring($0)) }
            .filter { $0 != "." && $0 != ".." }
    }
}

import JailCompiler

/// `linux.cgroupsPath`, without what could lead out of the tree.
struct CgroupsPath: Equatable {
    /// Below the root of the hierarchies, or below the cgroup of the caller.
    var isAbsolute: Bool
    var names: [String]
    /// systemd's slice that the last of the names is a unit in; nil: the path is one of directories.
    var slice: String?

    /// - Parameter systemd: the path has the form slice:prefix:name, and stands for where systemd would put such a scope.
    init(_ text: String, id: String, systemd: Bool) throws(RuntimeError) {
        if systemd {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard text.isEmpty || parts.count == 3 else {
                throw RuntimeError(
                    "linux.cgroupsPath: expected the form slice:prefix:name for systemd cgroups, got \(text.debugDescription)"
                )
            }
            let slice = parts.count == 3 && !parts[0].isEmpty ? parts[0] : "system.slice"
            let prefix = parts.count == 3 ? parts[1] : "kvm-runtime"
            let name = parts.count == 3 ? parts[2] : id
            let unit = name.hasSuffix(".slice") ? name : (prefix.isEmpty ? name : "\(prefix)-\(name)") + ".scope"
            isAbsolute = true
            names = try Self.slices(slice) + [unit]
            self.slice = slice
        } else {
            isAbsolute = text.hasPrefix("/")
            names = CgroupPath.parts(text)
            if names.isEmpty {
                isAbsolute = false
                names = [id]
            }
        }
        guard names.allSatisfy({ !$0.contains("/") && $0 != ".." && $0 != "." && !$0.isEmpty }) else {
            throw RuntimeError("linux.cgroupsPath: \(text.debugDescription) is no path of a cgroup")
        }
    }

    /// "a-b.slice" is in "a.slice".
    private static func slices(_ name: String) throws(RuntimeError) -> [String] {
        guard name.hasSuffix(".slice"), !name.contains("/") else {
            throw RuntimeError("linux.cgroupsPath: \(name.debugDescription) is no slice of systemd")
        }
        if name == "-.slice" { return [] }
        var names: [String] = []
        var path = ""
        for part in name.dropLast(6).split(separator: "-", omittingEmptySubsequences: false) {
            guard !part.isEmpty else {
                throw RuntimeError("linux.cgroupsPath: \(name.debugDescription) is no slice of systemd")
            }
            path += (path.isEmpty ? "" : "-") + part
            names.append(path + ".slice")
        }
        return names
    }
}

import LinuxSys
import OCISpec
import VMDriver

/// What of the host a mount brings into the container.
enum MountSource: Equatable {
    /// A directory or a file.
    case tree(String)
    case socket(String)
    /// An overlay, by its options; their paths are absolute.
    case overlay([String])
}

extension Spec {
    /// The mounts that have something of the host, by their index in `mounts`.
    func mountSources(bundle: String) -> [(mount: Int, kind: MountSource)] {
        let sources = Dictionary(
            bindSources(bundle: bundle).map { ($0.mount, $0.source) }, uniquingKeysWith: { first, _ in first })
        return mounts.enumerated().compactMap { index, mount in
            if let source = sources[index] {
                return (index, File.isSocket(source) ? .socket(source) : .tree(source))
            }
            guard mount.isOverlay else { return nil }
            let options = mount.parsedOptions.data.split(separator: ",").map { Self.absolute(String($0), bundle) }
            return (index, .overlay(options))
        }
    }

    /// "lowerdir=a:/b" in a bundle: "lowerdir=/bundle/a:/b".
    private static func absolute(_ option: String, _ bundle: String) -> String {
        for name in ["lowerdir=", "upperdir=", "workdir="] where option.hasPrefix(name) {
            let paths = option.dropFirst(name.count).split(separator: ":", omittingEmptySubsequences: false)
            return name
                + paths.map { $0.hasPrefix("/") || $0.isEmpty ? String($0) : "\(bundle)/\($0)" }.joined(separator: ":")
        }
        return option
    }

    /// How the ids of a mount's files are to be seen; nil: as they are. Without mappings of its own a mount that asks for
    /// it has the container's.
    func idMap(of mount: Mount) -> VMPlan.IDMap? {
        let extensions = mount.parsedOptions.extensions
        let hasOwn = !mount.uidMappings.isEmpty || !mount.gidMappings.isEmpty
        guard extensions.contains(.idMap) || hasOwn else { return nil }
        func text(_ own: [IDMapping], _ containers: [IDMapping]) -> String {
            (hasOwn ? own : containers).lines
        }
        return VMPlan.IDMap(
            uids: text(mount.uidMappings, linux?.uidMappings ?? []),
            gids: text(mount.gidMappings, linux?.gidMappings ?? []),
            recursive: extensions.contains(.recursiveIDMap))
    }
}

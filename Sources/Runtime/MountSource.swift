import AgentProtocol
import Glibc
import LinuxSys
import OCISpec
import VMDriver

/// What of the host a mount brings into the container.
enum MountSource: Equatable {
    /// A directory or a file.
    case tree(String)
    case socket(String)
    /// A device that every guest has by itself.
    case device(PassedDescriptor.Device)
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
                if let device = PassedDescriptor.Device(path: source) { return (index, .device(device)) }
                return (index, File.isSocket(source) ? .socket(source) : .tree(source))
            }
            guard mount.isOverlay else { return nil }
            let options = EscapedText.split(mount.parsedOptions.data, at: ",").map { Self.absolute($0, bundle) }
            return (index, .overlay(options))
        }
    }

    /// "lowerdir=a:/b" in a bundle: "lowerdir=/bundle/a:/b".
    private static func absolute(_ option: String, _ bundle: String) -> String {
        for name in ["lowerdir=", "upperdir=", "workdir="] where option.hasPrefix(name) {
            return name
                + EscapedText.split(String(option.dropFirst(name.count)), at: ":")
                .map { $0.hasPrefix("/") || $0.isEmpty ? $0 : "\(bundle)/\($0)" }.joined(separator: ":")
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

extension MountAttributes {
    /// What the host's mount that `path` is in does not allow; nothing where that can't be asked.
    init(ofMountAt path: String) {
        self = []
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return }
        let pairs: [(UInt, MountAttributes)] = [
            (UInt(ST_RDONLY), .readOnly), (UInt(ST_NOSUID), .noSuid), (Self.noDevices, .noDev),
            (Self.noPrograms, .noExec),
        ]
        for (flag, attribute) in pairs where status.f_flag & flag != 0 { insert(attribute) }
    }

    /// ST_NODEV and ST_NOEXEC, which glibc has for GNU's programs only.
    private static let noDevices: UInt = 4
    private static let noPrograms: UInt = 8
}

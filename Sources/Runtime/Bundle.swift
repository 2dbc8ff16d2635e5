import AgentProtocol
import Glibc
import JSON
import LinuxSys
import OCISpec
import Spawn

/// An OCI bundle that was read and found fit to run.
public struct Bundle: Sendable {
    /// Absolute, without symlinks.
    public let path: String
    public internal(set) var spec: Spec
    /// Absolute, without symlinks.
    public let rootfs: String

    /// Bytes of a config.json.
    static let longestSpec = 4 << 20

    /// Reads and checks the bundle: everything that can be wrong with it is said before anything is started.
    public init(path: String) throws(RuntimeError) {
        do throws(Errno) { self.path = try File.realPath(path) } catch {
            throw RuntimeError("bundle \(path): \(error)")
        }
        spec = try Self.readSpec(self.path + "/config.json")
        do throws(SpecError) { try spec.validate() } catch { throw RuntimeError("config.json: \(error)") }
        let refusals = spec.refusals()
        guard refusals.isEmpty else {
            throw RuntimeError(refusals.map(\.description).joined(separator: "; "))
        }
        rootfs = try Self.findRootfs(spec, bundle: self.path)
        try checkBinds()
    }

    static func readSpec(_ file: String) throws(RuntimeError) -> Spec {
        let bytes: [UInt8]
        do throws(Errno) { bytes = try File.read(file, limit: longestSpec) } catch {
            switch error {
            case .noSuchFile:
                throw RuntimeError("JSON specification file \(file) not found; `kvm-runtime spec` writes one")
            case .messageTooLong: throw RuntimeError("\(file) is larger than \(longestSpec >> 20) MiB")
            default: throw RuntimeError("can't read \(file): \(error)")
            }
        }
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue.parse(bytes) } catch {
            throw RuntimeError("\(file): \(error)")
        }
        do throws(SpecError) { return try Spec(json: value) } catch { throw RuntimeError("\(file): \(error)") }
    }

    private static func findRootfs(_ spec: Spec, bundle: String) throws(RuntimeError) -> String {
        guard let root = spec.root else { throw RuntimeError("config.json: root is missing") }
        let named = root.path.hasPrefix("/") ? root.path : bundle + "/" + root.path
        let rootfs: String
        do throws(Errno) { rootfs = try File.realPath(named) } catch {
            throw RuntimeError("invalid rootfs (root.path \(named)): \(error)")
        }
        guard File.isDirectory(rootfs) else {
            throw RuntimeError("invalid rootfs (root.path \(named)): it is not a directory")
        }
        return rootfs
    }

    /// The binds' sources on the host, by their index in `mounts`.
    public var binds: [(mount: Int, source: String)] { spec.bindSources(bundle: path) }

    private func checkBinds() throws(RuntimeError) {
        for (index, source) in binds {
            guard let mode = File.mode(source) else {
                let error = Errno.current
                throw RuntimeError("mounts[\(index)] (\(spec.mounts[index].destination)): source \(source): \(error)")
            }
            let kind = mode & mode_t(S_IFMT)
            let place = "mounts[\(index)] (\(spec.mounts[index].destination)): source \(source)"
            if kind == mode_t(S_IFSOCK), let type = UnixSockets.type(of: source), type != .stream {
                throw RuntimeError("\(place) is a \(type.rawValue) socket; only stream sockets reach into a guest")
            }
            let isKnown = [S_IFDIR, S_IFREG, S_IFSOCK].contains { kind == mode_t($0) }
            guard isKnown || PassedDescriptor.Device(path: source) != nil else {
                throw RuntimeError(
                    "\(place) is neither a directory nor a file nor a socket; binding devices of the host is not supported, "
                        + "but for /dev/null and others that a guest has as well"
                )
            }
        }
    }
}

extension Spec {
    /// The sources of the bind mounts on the host, by their index in `mounts`. A relative source is relative to the
    /// bundle.
    func bindSources(bundle: String) -> [(mount: Int, source: String)] {
        guestMounts.filter(\.mount.isBind).map { index, mount in
            (index, mount.source.hasPrefix("/") ? mount.source : bundle + "/" + mount.source)
        }
    }
}

extension Bundle {
    /// What the container's process on the host has mounted: the binds, and where the guest has file systems of its own, an
    /// empty directory that can't be written to: what a client put there would never be seen inside.
    var standInTrees: [StandInProcess.Tree] {
        let sources = Dictionary(binds.map { ($0.mount, $0.source) }, uniquingKeysWith: { first, _ in first })
        return spec.mounts.enumerated().compactMap { index, mount in
            if let source = sources[index] {
                return .init(
                    source: source, target: mount.containerPath, recursive: mount.isRecursive,
                    readOnly: mount.isReadOnly)
            }
            // It has a /proc of its own.
            return mount.isBind || mount.type == "proc" ? nil : .init(source: nil, target: mount.containerPath)
        }
    }
}

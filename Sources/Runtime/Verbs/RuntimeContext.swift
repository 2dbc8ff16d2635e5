import LinuxSys
import StateStore

/// What all commands share: the global options.
public struct RuntimeContext: Sendable {
    public static let standardRoot = "/run/kvm-runtime"

    public let root: String
    public let log: Log
    public let configuration: Configuration
    public let assets: Assets
    /// `linux.cgroupsPath` has systemd's form.
    public let systemdCgroup: Bool

    public init(
        root: String?, log: Log, configuration: Configuration, assets: Assets, systemdCgroup: Bool = false
    ) throws(RuntimeError) {
        self.systemdCgroup = systemdCgroup
        let wanted = root ?? Self.standardRoot
        do throws(Errno) {
            self.root = wanted.hasPrefix("/") ? wanted : try File.currentDirectory() + "/" + wanted
        } catch {
            throw RuntimeError("--root \(wanted): \(error)")
        }
        self.log = log
        self.configuration = configuration
        self.assets = assets
    }

    var store: StateStore { StateStore(root: root) }

    static func containerID(_ text: String) throws(RuntimeError) -> ContainerID {
        guard let id = ContainerID(text) else {
            throw RuntimeError(
                text.isEmpty ? "container id cannot be empty" : "invalid container id format: \(text.debugDescription)")
        }
        return id
    }

    /// The record of a container that a person named.
    func record(_ text: String) throws(RuntimeError) -> (ContainerID, ContainerRecord) {
        let id = try Self.containerID(text)
        do throws(StateError) { return (id, try store.record(of: id)) } catch { throw RuntimeError("\(error)") }
    }
}

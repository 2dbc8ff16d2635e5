import CLinux
import LinuxSys

/// The guest's hierarchy of cgroup v2.
public struct CgroupTree: Sendable {
    public let root: String

    public init(root: String = "/sys/fs/cgroup") { self.root = root }

    /// Hands every controller of a directory on to those below it. One that can't be (some don't go with threaded or
    /// real-time processes) doesn't keep the others back.
    static func enableControllers(in directory: String) throws(Errno) {
        let text = String(decoding: try File.read(directory + "/cgroup.controllers", limit: 4096), as: UTF8.self)
        let enabled = String(decoding: try File.read(directory + "/cgroup.subtree_control", limit: 4096), as: UTF8.self)
        let missing = words(text).filter { !words(enabled).contains($0) }
        if missing.isEmpty { return }
        let control = try FileDescriptor.open(directory + "/cgroup.subtree_control", O_WRONLY)
        do throws(Errno) {
            try control.writeAll(Array(missing.map { "+\($0)" }.joined(separator: " ").utf8))
        } catch {
            for controller in missing { try? control.writeAll(Array("+\(controller)".utf8)) }
        }
    }

    /// Makes a container's cgroup, with what lies above it.
    /// - Throws: `fileExists` when it is there already.
    public func make(_ names: [String]) throws(Errno) -> Cgroup {
        var path = root
        for (index, name) in names.enumerated() {
            try Self.enableControllers(in: path)
            path += "/" + name
            do throws(Errno) {
                _ = try once { mkdir(path, 0o755) }
            } catch .fileExists where index < names.count - 1 {
            } catch {
                throw error
            }
        }
        return Cgroup(path: path, depth: names.count)
    }

    private static func words(_ text: String) -> [Substring] { text.split { $0 == " " || $0 == "\n" } }
}

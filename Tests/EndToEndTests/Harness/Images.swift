import Glibc
import JSON
import LinuxSys
import Testing

/// Images in a directory of the test's, which the configuration allows.
final class Images {
    static let root = "io.kvm-runtime.root.image"
    static let rootType = "io.kvm-runtime.root.type"
    static let disk = "io.kvm-runtime.disk."
    static let obstacle = Clients.obstacle("mkfs.ext4", "e2fsck", "debugfs", "mkfs.erofs", "mksquashfs")
    static let reason = Comment(rawValue: obstacle ?? "")

    let host: Host
    let directory: String
    private var made = 0

    init(_ host: Host, allowed: Bool = true) throws {
        self.host = host
        directory = host.directory + (allowed ? "/images" : "/others")
        try File.makeDirectories(directory, mode: 0o755)
        guard allowed else { return }
        try host.configure(
            """
            [guest]
            allowed_images = ["\(directory)/*"]
            [vm]
            images = ["\(directory)/*"]
            kernels = ["\(Build.kernel)"]

            """)
    }

    /// A bundle that can have annotations.
    func bundle(_ script: String, _ edit: (inout JSONValue) -> Void = { _ in }) throws -> Bundle {
        try host.bundle(script, edit)
    }

    func annotate(_ bundle: Bundle, _ annotations: [String: String]) throws {
        var config = try JSONValue.parse(try File.read(bundle.path + "/config.json", limit: 1 << 20))
        config.set("annotations", JSONValue(annotations))
        try Files.write(bundle.path + "/config.json", config.text(.pretty))
    }

    /// An image of what is in a folder; the size is that of an ext4.
    func make(_ format: String, of folder: String?, size: String = "32M") throws -> String {
        made += 1
        let path = "\(directory)/\(made).\(format)"
        switch format {
        case "ext4": try tool(["mkfs.ext4", "-q"] + (folder.map { ["-d", $0] } ?? []) + [path, size])
        case "erofs": try tool(["mkfs.erofs", path, folder ?? directory])
        default: try tool(["mksquashfs", folder ?? directory, path, "-quiet", "-no-progress"])
        }
        return path
    }

    /// Whether nothing is to be repaired, nor to be replayed.
    func isSound(_ image: String) throws -> Bool {
        let head = try tool(["dumpe2fs", "-h", image])
        try tool(["e2fsck", "-f", "-n", image])
        return !head.contains("needs_recovery")
    }

    /// Has an ext4 look as after the end of a machine that wrote to it.
    func markForRecovery(_ image: String) throws { try tool(["debugfs", "-w", "-R", "feature needs_recovery", image]) }

    func file(_ path: String, in image: String) throws -> String { try tool(["debugfs", "-R", "cat \(path)", image]) }

    func sum(_ image: String) throws -> String { try tool(["sha256sum", image]) }

    @discardableResult
    private func tool(_ command: [String]) throws -> String {
        let outcome = try Running("/usr/bin/env", ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + command).finish()
        guard outcome.code == 0 else {
            throw Trouble("\(command.joined(separator: " ")): \(outcome.out)\(outcome.err)")
        }
        return outcome.out
    }
}

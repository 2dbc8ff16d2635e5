import JSON
import LinuxSys
import OCISpec

/// What `exec` is asked for.
public struct ExecOptions: Sendable {
    public var id: String
    /// Of the command line; with `processFile` it is not looked at.
    public var arguments: [String] = []
    /// process.json: the whole process, in the place of the options below.
    public var processFile: String?
    public var cwd: String?
    public var environment: [String] = []
    /// UID[:GID]
    public var user: String?
    public var additionalGids: [UInt32] = []
    public var capabilities: [String] = []
    public var noNewPrivileges = false
    public var terminal = false
    public var detach = false
    public var pidFile: String?
    public var consoleSocket: String?
    public var ignorePaused = false
    /// How many of the caller's descriptors from 3 on the process is to have.
    public var preserveFds = 0
    /// A cgroup below the container's own.
    public var cgroup: String?
    public var appArmor: String?
    public var label: String?

    public init(id: String) { self.id = id }

    /// The process to run in the container that `spec` made.
    func process(in spec: Spec) throws(RuntimeError) -> Process {
        if let processFile { return try Self.read(processFile) }
        guard !arguments.isEmpty else {
            throw RuntimeError("process args cannot be empty", exitCode: 255)
        }
        guard var process = spec.process else { throw RuntimeError("config.json: process is missing", exitCode: 255) }
        process.args = arguments
        if let cwd { process.cwd = cwd }
        if let appArmor { process.apparmorProfile = appArmor }
        if let label { process.selinuxLabel = label }
        if !capabilities.isEmpty {
            var sets = process.capabilities ?? Process.Capabilities()
            // As runc since CVE-2022-29162: what the container's processes may inherit is config.json's to say.
            sets.bounding += capabilities
            sets.effective += capabilities
            sets.permitted += capabilities
            if !sets.inheritable.isEmpty { sets.ambient += capabilities }
            process.capabilities = sets
        }
        process.env += environment
        process.terminal = terminal
        // The size of the container's own terminal is none of this one's.
        process.consoleSize = nil
        if noNewPrivileges { process.noNewPrivileges = true }
        if let user { try Self.set(user, &process.user) }
        process.user.additionalGids += additionalGids
        return process
    }

    private static func read(_ file: String) throws(RuntimeError) -> Process {
        let bytes: [UInt8]
        do throws(Errno) { bytes = try File.read(file, limit: Bundle.longestSpec) } catch {
            throw RuntimeError("--process \(file): \(error)", exitCode: 255)
        }
        do {
            return try Process(decoding: JSONCursor(try JSONValue.parse(bytes)))
        } catch {
            throw RuntimeError("--process \(file): \(error)", exitCode: 255)
        }
    }

    private static func set(_ text: String, _ user: inout Process.User) throws(RuntimeError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let uid = UInt32(parts[0]) else {
            throw RuntimeError("--user: parsing \(parts[0].debugDescription) as int for uid failed", exitCode: 255)
        }
        user.uid = uid
        if parts.count > 1 {
            guard let gid = UInt32(parts[1]) else {
                throw RuntimeError("--user: parsing \(parts[1].debugDescription) as int for gid failed", exitCode: 255)
            }
            user.gid = gid
        }
    }
}

import Glibc
import JSON
import LinuxSys
import Testing

/// A bundle on disk: busybox as rootfs, and the default config.json, edited.
struct Bundle {
    let path: String
    var rootfs: String { path + "/rootfs" }

    /// - Parameter script: what the container's shell runs; nil leaves the default, an interactive shell.
    init(
        at path: String, script: String? = nil, terminal: Bool = false, edit: (inout JSONValue) -> Void = { _ in }
    ) throws {
        self.path = path
        try File.makeDirectories(path, mode: 0o755)
        try Self.makeRootfs(path + "/rootfs")
        var config = try Self.defaultConfig
        config.set("process.terminal", .bool(terminal))
        if let script { config.set("process.args", ["/bin/sh", "-c", .string(script)]) }
        edit(&config)
        try Files.write(path + "/config.json", config.text(.pretty))
    }

    /// Compiles a program of Tests/Programs into the container's /bin.
    func install(_ program: String) throws {
        let tests = String(#filePath.dropLast("EndToEndTests/Harness/Bundle.swift".count))
        let outcome = try Running(
            "/usr/bin/gcc",
            [
                "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", rootfs + "/bin/" + program,
                tests + "Programs/\(program).c",
            ]
        ).finish()
        guard outcome.code == 0 else { throw Trouble("\(program).c: \(outcome.err)") }
    }

    /// What `kvm-runtime spec` writes.
    static var defaultConfig: JSONValue {
        get throws { try JSONValue.parse(try defaultText.get()) }
    }

    private static let defaultText = Result<[UInt8], any Error> {
        let directory = try Files.makeTemporary()
        defer { Files.removeTree(directory) }
        let outcome = try Running(Build.binary, ["spec", "--bundle", directory]).finish()
        guard outcome.code == 0 else { throw Trouble("kvm-runtime spec: \(outcome.err)") }
        return try File.read(directory + "/config.json", limit: 1 << 20)
    }

    private static let applets = Result<[String], any Error> {
        try Running(Build.busybox, ["--list"]).finish().lines
    }

    private static let busybox = Result<[UInt8], any Error> { try File.read(Build.busybox, limit: 16 << 20) }

    private static func makeRootfs(_ path: String) throws {
        for directory in ["bin", "dev", "etc", "proc", "root", "sys", "tmp", "var"] {
            try File.makeDirectories(path + "/" + directory, mode: 0o755)
        }
        chmod(path + "/tmp", 0o1777)
        try Files.write(path + "/bin/busybox", try busybox.get(), mode: 0o755)
        for applet in try applets.get() where applet != "busybox" {
            symlink("busybox", path + "/bin/" + applet)
        }
        try Files.write(
            path + "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:a guest:/home/guest:/bin/sh\n")
        try Files.write(path + "/etc/group", "root:x:0:\ntty:x:5:\nguest:x:1000:\n")
    }
}

/// Small things with files.
enum Files {
    static func write(_ path: String, _ bytes: [UInt8], mode: mode_t = 0o644) throws {
        let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try file.writeAll(bytes)
        _ = fchmod(file.raw, mode)
    }

    static func write(_ path: String, _ text: String, mode: mode_t = 0o644) throws {
        try write(path, Array(text.utf8), mode: mode)
    }

    static func text(_ path: String) throws -> String {
        String(decoding: try File.read(path, limit: 64 << 20), as: UTF8.self)
    }

    /// Where a symlink leads.
    static func link(_ path: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        guard count >= 0 else { throw Trouble("\(path): \(Errno.current)") }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func makeTemporary() throws -> String {
        var template = Array("/tmp/kvm-e2e.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno.current }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    static func removeTree(_ path: String) {
        for name in (try? File.list(path)) ?? [] {
            let entry = path + "/" + name
            if unlink(entry) != 0 { removeTree(entry) }
        }
        rmdir(path)
    }
}

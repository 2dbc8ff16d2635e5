import AgentProtocol
import CLinux
import JailCompiler
import LinuxSys
import OCISpec

@testable import Jail

/// A container on this machine, made by the code that makes them in the guest: no cgroup, a directory in the place of
/// the share.
final class TestContainer {
    struct Result: Equatable {
        var output = ""
        var failure: Failure?
        var status: ExitStatus?
    }

    /// Why these tests can't run here; nil: they can.
    static let obstacle: String? = {
        if getuid() != 0 { return "needs root" }
        guard File.exists("/bin/busybox") else { return "needs /bin/busybox (package busybox-static)" }
        return nil
    }()

    let directory: String
    var root: String { directory + "/share/rootfs" }

    init() throws(Errno) {
        var template = Array("/tmp/jail-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno.current }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for name in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
            try File.makeDirectories(root + "/" + name, mode: 0o755)
        }
        try File.makeDirectories(directory + "/mount", mode: 0o700)
        let busybox = try File.read("/bin/busybox", limit: 8 << 20)
        try FileDescriptor.open(root + "/bin/busybox", O_WRONLY | O_CREAT, mode: 0o755).writeAll(busybox)
        for applet in ["sh", "cat", "ls", "id", "grep", "echo", "true", "touch", "stat", "mount", "tty", "stty"] {
            _ = try once { symlink("busybox", root + "/bin/" + applet) }
        }
        try write("root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n", to: root + "/etc/passwd")
    }

    deinit {
        // Its mounts went with its namespace.
        Self.remove(directory)
    }

    func write(_ text: String, to path: String) throws(Errno) {
        try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644).writeAll(Array(text.utf8))
    }

    /// A configuration that runs a shell script.
    func spec(_ script: String, _ change: (inout Spec) -> Void = { _ in }) -> Spec {
        var process = Process(args: ["sh", "-c", script])
        process.env = ["PATH=/bin"]
        var linux = Linux()
        linux.namespaces = [.init(.pid), .init(.mount), .init(.ipc), .init(.uts), .init(.network)]
        var spec = Spec(ociVersion: "1.0.2", process: process, root: Root(path: "rootfs"), linux: linux)
        spec.mounts = [
            Mount(destination: "/proc", type: "proc", source: "proc"),
            Mount(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]),
            Mount(
                destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance", "ptmxmode=0666"]),
        ]
        change(&spec)
        return spec
    }

    /// Makes, starts and awaits it; what it writes to stdout and stderr is at most a pipe full.
    func run(_ spec: Spec, binds: [Int: String] = [:]) throws -> Result {
        let place = JailPlace(
            rootfs: "rootfs", binds: binds,
            terminal: spec.process?.terminal == true ? TerminalSize(rows: 33, columns: 77) : nil)
        let plan = try JailPlan(spec, in: place)
        var fds: [CInt] = [-1, -1]
        _ = try once { pipe(&fds) }
        let reader = FileDescriptor(owning: fds[0])
        // Gone with the scope: else the reader would never see the end.
        let child: JailChild
        do {
            let writer = FileDescriptor(owning: fds[1])
            child = try JailChild(
                try FlatPlan(plan.encoded, share: directory + "/share", root: directory + "/mount"),
                stdio: [nil, writer.raw, writer.raw], cgroup: nil)
        }
        var result = Result()
        var terminal: SharedDescriptor?
        var isClosed = false
        while !isClosed {
            guard let event = try child.next() else {
                usleep(1000)
                continue
            }
            switch event {
            case .ready: try child.proceed()
            case .forked: break
            case .terminal(let master): terminal = master
            case .failed(let failure): result.failure = plan.failure(failure)
            case .closed: isClosed = true
            }
        }
        if let terminal {
            // At its end a terminal's master reads EIO.
            var bytes: [UInt8] = []
            while let part = try? terminal.descriptor.read(upTo: 4096), !part.isEmpty { bytes += part }
            result.output = String(decoding: bytes, as: UTF8.self)
        } else {
            result.output = String(decoding: try reader.readAll(limit: 1 << 20), as: UTF8.self)
        }
        result.status = try Processes.wait(child.pid)
        return result
    }

    private static func remove(_ path: String) {
        if unlink(path) == 0 { return }
        for name in (try? File.list(path)) ?? [] { remove(path + "/" + name) }
        rmdir(path)
    }
}

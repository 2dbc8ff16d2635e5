import Glibc
import JSON
import LinuxSys
import OCISpec
import Testing

@testable import Runtime

struct BundleTests {
    private static let good = """
        {"ociVersion":"1.0.2",
        "process":{"user":{"uid":0,"gid":0},"args":["sh"],"cwd":"/"},
        "root":{"path":"rootfs"},
        "mounts":[{"destination":"/proc","type":"proc","source":"proc"}],
        "linux":{"namespaces":[{"type":"pid"},{"type":"mount"}]}}
        """

    /// A bundle whose config.json is `good` with a part of it replaced.
    private func withBundle(_ old: String = "", _ new: String = "", _ body: (String) throws -> Void) throws {
        try inScratch { path in
            let path = try File.realPath(path)
            _ = try once { mkdir(path + "/rootfs", 0o700) }
            let text = old.isEmpty ? Self.good : Self.good.replacing(old, with: new)
            try #require(old.isEmpty || text != Self.good)
            try write(text, path + "/config.json")
            try body(path)
        }
    }

    private func write(_ text: String, _ path: String) throws {
        try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600).writeAll(Array(text.utf8))
    }

    private func refusal(_ path: String) -> String? {
        do throws(RuntimeError) { _ = try Bundle(path: path) } catch { return error.description }
        return nil
    }

    @Test func fit() throws {
        try withBundle { path in
            _ = try once { symlink(path, path + "/link") }
            let bundle = try Bundle(path: path + "/link/.")
            #expect(bundle.path == path)
            #expect(bundle.rootfs == path + "/rootfs")
            #expect(bundle.spec.process?.args == ["sh"])
            #expect(bundle.binds.isEmpty)
        }
    }

    @Test func rootfs() throws {
        try withBundle(#""rootfs""#, #""/elsewhere""#) { path in
            #expect(refusal(path) == "invalid rootfs (root.path /elsewhere): No such file or directory")
        }
        try withBundle(#""rootfs""#, #""link""#) { path in
            #expect(refusal(path) == "invalid rootfs (root.path \(path)/link): No such file or directory")
            _ = try once { symlink("config.json", path + "/link") }
            #expect(refusal(path) == "invalid rootfs (root.path \(path)/link): it is not a directory")
            unlink(path + "/link")
            _ = try once { symlink("rootfs", path + "/link") }
            #expect(try Bundle(path: path).rootfs == path + "/rootfs")
        }
    }

    @Test func missing() throws {
        #expect(refusal("/nonexistent/bundle") == "bundle /nonexistent/bundle: No such file or directory")
        try inScratch { path in
            let path = try File.realPath(path)
            #expect(
                refusal(path)
                    == "JSON specification file \(path)/config.json not found; `kvm-runtime spec` writes one")
            _ = try once { mkdir(path + "/config.json", 0o700) }
            #expect(refusal(path) == "can't read \(path)/config.json: Is a directory")
        }
    }

    @Test("what is no JSON is told with line and column")
    func notJSON() throws {
        try withBundle(#""args""#, "args") { path in
            let said = try #require(refusal(path))
            #expect(said.hasPrefix("\(path)/config.json: line 2, column 37: "), "\(said)")
        }
        try withBundle { path in
            try write("", path + "/config.json")
            #expect(refusal(path)?.hasPrefix("\(path)/config.json: line 1, column 1: ") == true)
            try write(String(repeating: " ", count: 4 << 20) + "{}", path + "/config.json")
            #expect(refusal(path) == "\(path)/config.json is larger than 4 MiB")
            try write(String(repeating: "[", count: 100_000), path + "/config.json")
            #expect(refusal(path)?.contains("line 1, column") == true)
        }
    }

    @Test(
        "what has the wrong type or value is told with its path",
        arguments: [
            (#"["sh"]"#, #""sh""#, "process.args: expected an array, found a string"),
            (#""uid":0"#, #""uid":-1"#, "process.user.uid: -1 is out of range"),
            (#""uid":0"#, #""uid":4294967295"#, "process.user.uid: 4294967295 is no user"),
            (#""cwd":"/""#, #""cwd":"x""#, "process.cwd: must be an absolute path"),
            (#"["sh"]"#, "[]", "process.args: must not be empty"),
            (#"["sh"]"#, #"["a\u0000"]"#, "process.args[0]: contains a NUL"),
            (#""1.0.2""#, #""2.0.0""#, #"ociVersion: "2.0.0" is not supported"#),
            (#""1.0.2""#, #""x""#, "ociVersion: must be a version"),
            (#""1.0.2""#, "1", "ociVersion: expected a string"),
            (#""root":{"path":"rootfs"},"#, "", "root: is missing"),
            (#""path":"rootfs""#, #""path":"""#, "root.path: must not be empty"),
        ])
    func wrong(old: String, new: String, reason: String) throws {
        try withBundle(old, new) { path in
            let said = try #require(refusal(path))
            let fromFile = said.hasPrefix("\(path)/config.json: \(reason)")
            #expect(fromFile || said.hasPrefix("config.json: \(reason)"), "\(said)")
        }
    }

    @Test("a later version of the same kind is fine")
    func laterVersion() throws {
        try withBundle(#""1.0.2""#, #""1.99.0""#) { path in #expect(refusal(path) == nil) }
    }

    @Test("what is not done is refused, each field by name")
    func refused() throws {
        try withBundle(
            #""linux":{"#,
            #""hooks":{"startContainer":[{"path":"/x"}]},"linux":{"intelRdt":{"closID":"a"},"#
        ) { path in
            #expect(refusal(path) == "linux.intelRdt is not supported")
        }
        try withBundle(#""type":"proc""#, #""type":"nfs""#) { path in
            #expect(refusal(path) == "mounts[0].type: nfs is not supported")
        }
    }

    @Test(
        "what is read-only for the guest is for the device that serves it too",
        arguments: [
            (["rbind", "ro"], true), (["bind", "rro"], true), (["rbind", "rro", "rw"], true), (["bind", "rw"], false),
            (["rbind", "rro", "rrw"], false), (["rbind", "ro", "rrw"], false), (["bind", "ro", "rw"], false),
        ] as [([String], Bool)])
    func readOnly(options: [String], isReadOnly: Bool) {
        #expect(Mount(destination: "/a", source: "/b", options: options).isReadOnly == isReadOnly)
    }

    @Test("a bind's source must be a directory or a file of the host")
    func binds() throws {
        let mounts = """
            {"destination":"/data","type":"bind","source":"data","options":["rbind","ro"]},
            {"destination":"/proc","type":"proc","source":"proc"},
            {"destination":"/abs","source":"/dev","options":["bind"]}
            """
        try withBundle(#"{"destination":"/proc","type":"proc","source":"proc"}"#, mounts) { path in
            #expect(refusal(path) == "mounts[0] (/data): source \(path)/data: No such file or directory")
            try write("x", path + "/data")
            let bundle = try Bundle(path: path)
            #expect(bundle.binds.map(\.mount) == [0, 2])
            #expect(bundle.binds.map(\.source) == [path + "/data", "/dev"])
            #expect(bundle.spec.mounts[0].isReadOnly && !bundle.spec.mounts[2].isReadOnly)
            unlink(path + "/data")
            let listener = try Sockets.listen(at: "data", in: try FileDescriptor.directory(path), .packets)
            _ = listener.raw
            #expect(mkfifo(path + "/fifo", 0o600) == 0)
            #expect(UnixSockets.type(of: "/no/such") == nil)
            unlink(path + "/data")
            #expect(rename(path + "/fifo", path + "/data") == 0)
            #expect(
                refusal(path)?.hasPrefix("mounts[0] (/data): source \(path)/data is neither a directory nor a file")
                    == true)
        }
    }
}

struct GuestResourcesTests {
    @Test("the guest's cgroup gets no cpuset: its numbers are the host's")
    func cpuset() {
        var spec = Spec.default
        var cpu = Linux.Resources.CPU()
        cpu.cpus = "12-15"
        cpu.mems = "1"
        cpu.shares = 512
        spec.linux?.resources?.cpu = cpu
        #expect(spec.guestResources.cpu?.cpus == "" && spec.guestResources.cpu?.mems == "")
        #expect(spec.guestResources.cpu?.shares == 512)
        #expect(Spec(ociVersion: "1.0.2").guestResources == Linux.Resources())
    }
}

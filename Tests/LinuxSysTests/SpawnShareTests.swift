import Glibc
import LinuxSys
import Spawn
import Testing

@Suite(.enabled(if: geteuid() == 0, "binds need root: run the tests as root"))
struct SpawnShareTests {
    /// A directory with sources to bind, and an empty one for the share.
    private func withShare(_ body: (_ path: String, _ share: String) throws -> Void) throws {
        try inScratch { path in
            let share = path + "/share"
            for name in ["share", "tree", "tree/inner"] { _ = try once { mkdir(path + "/" + name, 0o755) } }
            for name in ["tree/file", "tree/inner/deep", "single"] {
                let file = try FileDescriptor.open(path + "/" + name, O_WRONLY | O_CREAT, mode: 0o644)
                try file.writeAll(Array("\(name)\n".utf8))
            }
            try body(path, share)
        }
    }

    private func start(_ program: Program) throws -> ChildProcess {
        do {
            return try program.start()
        } catch {
            if error.step == "new mount namespace", error.errno == .notPermitted {
                try Test.cancel("unshare(CLONE_NEWNS) is not permitted here: run the tests outside of a container")
            }
            throw error
        }
    }

    @Test("binds are seen by the program and by nobody else, and go with it")
    func binds() throws {
        try withShare { path, share in
            var answers = try LoosePipe()
            let orders = try Pipes.make()
            var program = shell(
                """
                cd \(share) && cat rootfs/file rootfs/inner/deep binds/0 && ls
                echo new > rootfs/new && echo wrote
                (echo x >> binds/0) 2>/dev/null || echo refused
                (echo x > ro/tree/file) 2>/dev/null || echo refused
                echo end; read order
                """, [0: orders.reader.raw])
            program.descriptors[1] = answers.writer?.raw
            program.share = Program.Share(
                root: share,
                binds: [
                    .init(source: path + "/tree", target: "rootfs", readOnly: false, recursive: true),
                    .init(source: path + "/single", target: "binds/0", readOnly: true, recursive: false),
                    .init(source: path + "/tree", target: "ro/tree", readOnly: true, recursive: true),
                ])
            let child = try start(program)
            defer { end(child) }
            answers.writer = nil
            var said = ""
            while !said.hasSuffix("end\n") {
                let bytes = try answers.reader?.descriptor.read(upTo: 4096) ?? []
                if bytes.isEmpty { break }
                said += text(bytes)
            }
            #expect(
                said == "tree/file\ntree/inner/deep\nsingle\nbinds\nro\nrootfs\nwrote\nrefused\nrefused\nend\n")
            // While it runs, the host sees an empty directory, and no mount.
            #expect(try File.list(share) == [])
            #expect(!text(try File.read("/proc/self/mountinfo", limit: 1 << 22)).contains(share))
            #expect(text(try File.read("/proc/\(child.pid)/mountinfo", limit: 1 << 22)).contains(share + "/ro/tree"))
            // What was written to the tree is the host's file.
            #expect(text(try File.read(path + "/tree/new", limit: 10)) == "new\n")
            #expect(text(try File.read(path + "/single", limit: 10)) == "single\n")
        }
    }

    @Test(
        "a bind that fails is named",
        arguments: [
            ("/nonexistent", "x", "bind mount /nonexistent", ENOENT),
            ("/etc/passwd", "file/x", "make the mount point file/x", ENOTDIR),
            (
                "/etc", String(repeating: "n", count: 5000),
                "make the mount point \(String(repeating: "n", count: 5000))", ENAMETOOLONG
            ),
        ] as [(String, String, String, CInt)])
    func failures(source: String, target: String, step: String, code: CInt) throws {
        try withShare { path, share in
            var program = shell("exit 0")
            program.share = Program.Share(
                root: share,
                binds: [
                    .init(source: path + "/single", target: "file", readOnly: false, recursive: false),
                    .init(source: source, target: target, readOnly: false, recursive: false),
                ])
            do {
                end(try start(program))
                Issue.record("it runs")
            } catch let error as SpawnError {
                #expect(error.step == step && error.errno.rawValue == code && !error.isExec)
            }
            #expect(try File.list(share) == [])
        }
    }

    @Test func missingRoot() throws {
        var program = shell("exit 0")
        program.share = Program.Share(root: "/nonexistent/share", binds: [])
        do {
            end(try start(program))
            Issue.record("it runs")
        } catch let error as SpawnError {
            #expect(error.description == "can't start /bin/sh: tmpfs on /nonexistent/share: No such file or directory")
        }
    }
}

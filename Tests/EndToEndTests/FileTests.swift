import Glibc
import LinuxSys
import Spawn
import Testing

extension EndToEnd {
    /// What a container and the host see of each other's changes in a bind.
    @Suite struct FilesAcrossTheBorder {
        private func bind(_ host: Host, _ script: String, _ names: (source: String, target: String)...) throws -> Bundle
        {
            try host.bundle(script) { spec in
                for name in names {
                    spec.append(
                        "mounts",
                        [
                            "destination": .string(name.target), "type": "bind",
                            "source": .string(host.directory + "/" + name.source), "options": ["rbind", "rw"],
                        ])
                }
            }
        }

        @Test(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) func watchersSeeTheHostsChanges() throws {
            try Host.use { host in
                try File.makeDirectories(host.directory + "/shared/sub", mode: 0o755)
                let bundle = try bind(host, "watch-files /shared/sub 9; true", ("shared", "/shared"))
                try bundle.install("watch-files")
                let run = try host.starting(bundle)
                try run.wait(forOutput: "watching")
                // The agent looks once a second for what is watched.
                usleep(2_500_000)
                let folder = host.directory + "/shared/sub/"
                let steps: [(String, () -> Void)] = [
                    ("created file", { try? Files.write(folder + "file", "one") }),
                    ("written file", {}),
                    ("from file", { rename(folder + "file", folder + "other") }),
                    ("to other", {}),
                    ("attributes other", { chmod(folder + "other", 0o600) }),
                    ("deleted other", { unlink(folder + "other") }),
                    ("created folder", { mkdir(folder + "folder", 0o755) }),
                    ("deleted folder", { rmdir(folder + "folder") }),
                ]
                for (line, step) in steps {
                    step()
                    try run.wait(forOutput: line)
                }
                let outcome = try run.finish()
                // Each of them once.
                #expect(outcome.out.components("created file") == 1, "\(outcome.out)")
            }
        }

        /// An editor that saves writes another file and renames it.
        @Test(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) func watchedFileIsReplaced() throws {
            try Host.use { host in
                try File.makeDirectories(host.directory + "/shared", mode: 0o755)
                let file = host.directory + "/shared/file"
                try Files.write(file, "old")
                let bundle = try bind(host, "watch-files /shared/file 9; cat /shared/file", ("shared", "/shared"))
                try bundle.install("watch-files")
                let run = try host.starting(bundle)
                try run.wait(forOutput: "watching")
                usleep(2_500_000)
                try Files.write(host.directory + "/new", "new\n")
                rename(host.directory + "/new", file)
                try run.wait(forOutput: "gone")
                let outcome = try run.finish()
                #expect(outcome.out.components("gone ") == 1 && outcome.out.hasSuffix("new\n"), "\(outcome)")
            }
        }

        /// On an overlay too, which has no file handles.
        @Test(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) func removedFilesAreReached() throws {
            try Host.use { host in
                for name in ["shared", "lower", "upper", "work"] {
                    try File.makeDirectories(host.directory + "/" + name, mode: 0o755)
                }
                let script = """
                    for d in /shared /overlay; do
                    cd $d; exec 3<>f; rm f; chmod 640 /proc/self/fd/3; exec 4<>g; echo > new; mv new g; mkdir x; cd x; rmdir ../x
                    i=0; mkdir ../many; while [ $i -lt 4200 ]; do : > ../many/$i; i=$((i+1)); done; ls -l $d/many | wc -l
                    cat $d/many/* > /dev/null; sleep 1.5
                    stat -Lc '%a %h' /proc/self/fd/3; touch /proc/self/fd/4 && echo touched; echo text > /proc/self/fd/3
                    cat /proc/self/fd/3; stat -c %F .
                    done
                    """
                let bundle = try host.bundle(script) { spec in
                    spec.append(
                        "mounts",
                        [
                            "destination": "/shared", "type": "bind", "source": .string(host.directory + "/shared"),
                            "options": ["rbind", "rw"],
                        ])
                    spec.append(
                        "mounts",
                        [
                            "destination": "/overlay", "type": "overlay", "source": "overlay",
                            "options": .array(
                                [("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")].map {
                                    .string("\($0)=\(host.directory)/\($1)")
                                }),
                        ])
                }
                let outcome = try host.run(bundle)
                let each = "4201\n640 0\ntouched\ntext\ndirectory\n"
                #expect(outcome.out == each + each, "\(outcome)")
            }
        }

        @Test func ownChangesAreToldOnce() throws {
            try Host.use { host in
                try File.makeDirectories(host.directory + "/shared", mode: 0o755)
                let script = """
                    watch-files /shared 8 & sleep 3; echo 1 > /shared/own; sleep 1; mv /shared/own /shared/moved; sleep 1
                    rm /shared/moved; sleep 1; kill %1
                    """
                let bundle = try bind(host, script, ("shared", "/shared"))
                try bundle.install("watch-files")
                let outcome = try host.run(bundle)
                for line in ["created own", "written own", "from own", "to moved", "deleted moved"] {
                    #expect(outcome.out.components(line) == 1, "\(line): \(outcome.out) \(outcome.err)")
                }
            }
        }

        /// QEMU's emulator would run what it translated of a page's former contents, see QEMUPlan's init_on_alloc. Two programs
        /// of one address range, each fresh from the device, with pages that were another's code a moment ago.
        @Test func freshProgramsRunTheirOwnCode() throws {
            try Host.use { host in
                let script = """
                    for p in /programs/*; do $p >/out 2>&1 & a=$!; /bin/busybox true; wait $a; r=$?; [ $r = 1 ] || echo $p $r; done
                    echo end
                    """
                let bundle = try host.bundle(script)
                try bundle.install("watch-files")
                try File.makeDirectories(bundle.rootfs + "/programs", mode: 0o755)
                let program = bundle.rootfs + "/bin/watch-files"
                for number in 0..<200 {
                    let copy = Program(
                        path: "/bin/cp", arguments: [program, bundle.rootfs + "/programs/\(number)"],
                        descriptors: [0: 0, 1: 1, 2: 2])
                    try #require(try copy.start().wait() == .exited(code: 0))
                }
                let outcome = try host.run(bundle)
                #expect(outcome.out == "end\n", "\(outcome.err)")
            }
        }

        @Test(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) func fileThatIsReplacedIsSeen() throws {
            try Host.use { host in
                try Files.write(host.directory + "/conf", "old\n")
                let script = "cat /conf; until grep -q new /conf; do sleep 0.1; done; cat /conf"
                let bundle = try bind(host, script, ("conf", "/conf"))
                let run = try host.starting(bundle)
                try run.wait(forOutput: "old")
                try Files.write(host.directory + "/conf.new", "new\n")
                rename(host.directory + "/conf.new", host.directory + "/conf")
                #expect(try run.finish().out == "old\nnew\n")
            }
        }

        @Test(arguments: ["auto", "never"]) func hostsFilesAppear(cache: String) throws {
            try Host.use { host in
                try host.configure("[files]\nvolume_cache = \"\(cache)\"\n")
                try File.makeDirectories(host.directory + "/shared", mode: 0o755)
                try Files.write(host.directory + "/shared/grows", "1\n")
                let script = """
                    cat /shared/grows; until [ -e /shared/new ]; do sleep 0.1; done; echo there
                    until [ $(wc -l < /shared/grows) = 2 ]; do sleep 0.1; done; cat /shared/grows
                    """
                let run = try host.starting(try bind(host, script, ("shared", "/shared")))
                try run.wait(forOutput: "1")
                try Files.write(host.directory + "/shared/new", "")
                try run.wait(forOutput: "there")
                try Files.write(host.directory + "/shared/grows", "1\n2\n")
                #expect(try run.finish().out == "1\nthere\n1\n2\n")
            }
        }

        @Test(.enabled(if: !FileBackend.isVirtiofsd, FileBackend.reason)) func twoTreesHaveNoInodeInCommon() throws {
            try Host.use { host in
                try File.makeDirectories(host.directory + "/shared", mode: 0o755)
                try Files.write(host.directory + "/shared/file", "")
                let script = "stat -c %d:%i /a/file /b/file; mv /a/file /b/moved && ls /b"
                let bundle = try bind(host, script, ("shared", "/a"), ("shared", "/b"))
                let lines = try host.run(bundle).out.split(separator: "\n")
                #expect(lines.count == 3 && lines[0] != lines[1] && lines.last == "moved")
            }
        }
    }
}

extension String {
    /// How often `line` is a line of it.
    fileprivate func components(_ line: String) -> Int { split(separator: "\n").count { $0 == line } }
}

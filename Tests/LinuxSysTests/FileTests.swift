import Glibc
import LinuxSys
import Testing

struct FileTests {
    @Test("an atomic write makes the file, replaces it, and leaves nothing else")
    func atomic() throws {
        try inScratch { path in
            let directory = try FileDescriptor.directory(path)
            try File.writeAtomically(Array("one".utf8), to: "file", in: directory)
            #expect(File.mode(path + "/file") == mode_t(S_IFREG) | 0o600)
            let old = try FileDescriptor.open(path + "/file", O_RDONLY)
            try File.writeAtomically(Array("second".utf8), to: "file", in: directory, mode: 0o400)
            #expect(text(try File.read(path + "/file", limit: 100)) == "second")
            #expect(File.mode(path + "/file") == mode_t(S_IFREG) | 0o400)
            // Whoever had the old one open reads the old one.
            #expect(text(try old.readAll(limit: 100)) == "one")
            #expect(try File.list(path) == ["file"])
        }
    }

    @Test("an atomic write that fails leaves what was there, and nothing else")
    func atomicFailure() throws {
        try inScratch { path in
            let directory = try FileDescriptor.directory(path)
            _ = try once { mkdir(path + "/name", 0o700) }
            #expect(errno { try File.writeAtomically([1], to: "name", in: directory) } == .isDirectory)
            #expect(try File.list(path) == ["name"])
            #expect(errno { try File.writeAtomically([1], to: "missing/name", in: directory) } == .noSuchFile)
            let long = String(repeating: "x", count: 255)
            #expect(errno { try File.writeAtomically([1], to: long, in: directory) } == .tooLong)
            #expect(try File.list(path) == ["name"])
        }
    }

    @Test("an atomic write replaces a symlink and does not follow it")
    func atomicLink() throws {
        try inScratch { path in
            let directory = try FileDescriptor.directory(path)
            try File.writeAtomically([1], to: "target", in: directory)
            _ = try once { symlink("target", path + "/link") }
            try File.writeAtomically([2], to: "link", in: directory)
            #expect(try File.read(path + "/target", limit: 1) == [1])
            #expect(errno { _ = try File.readLink(path + "/link") } == .invalidArgument)
            // Nor the one that somebody put where the temporary file goes.
            _ = try once { symlink("target", path + "/.file.\(getpid()).tmp") }
            #expect(errno { try File.writeAtomically([3], to: "file", in: directory) } != nil)
            #expect(try File.read(path + "/target", limit: 1) == [1])
        }
    }

    @Test func directories() throws {
        try inScratch { path in
            try File.makeDirectories(path + "/a//b/c/", mode: 0o700)
            #expect(File.isDirectory(path + "/a/b/c"))
            try File.makeDirectories(path + "/a/b/c", mode: 0o700)
            try File.makeDirectories("/", mode: 0o700)
            try FileDescriptor.open(path + "/file", O_WRONLY | O_CREAT, mode: 0o600).writeAll([1])
            #expect(errno { try File.makeDirectories(path + "/file", mode: 0o700) } == .notDirectory)
            #expect(errno { try File.makeDirectories(path + "/file/a", mode: 0o700) } == .notDirectory)
            #expect(errno { try File.makeDirectories("", mode: 0o700) } == .notDirectory)
            // A symlink to a directory is one; one to nowhere isn't.
            _ = try once { symlink("a", path + "/link") }
            try File.makeDirectories(path + "/link/d", mode: 0o700)
            #expect(File.isDirectory(path + "/a/d"))
            _ = try once { symlink("nowhere", path + "/broken") }
            #expect(errno { try File.makeDirectories(path + "/broken", mode: 0o700) } == .notDirectory)
        }
    }

    @Test func list() throws {
        try inScratch { path in
            #expect(try File.list(path) == [])
            let names = [" ", "...", "-x", "a\nb", "é", String(repeating: "n", count: 255)]
            for name in names { _ = try FileDescriptor.open(path + "/" + name, O_WRONLY | O_CREAT, mode: 0o600) }
            #expect(try File.list(path).sorted() == names.sorted())
            #expect(errno { _ = try File.list(path + "/missing") } == .noSuchFile)
            #expect(errno { _ = try File.list(path + "/é") } == .notDirectory)
        }
    }

    @Test func questions() throws {
        try inScratch { path in
            #expect(File.exists(path) && File.isDirectory(path) && !File.isExecutable(path))
            #expect(File.isExecutable("/bin/sh") && !File.isExecutable("/etc/passwd"))
            #expect(!File.exists(path + "/missing") && File.mode(path + "/missing") == nil)
            _ = try once { symlink("/proc/self/../self", path + "/link") }
            #expect(try File.readLink(path + "/link") == "/proc/self/../self")
            #expect(try File.realPath(path + "/link") == "/proc/\(getpid())")
            #expect(errno { _ = try File.realPath(path + "/missing") } == .noSuchFile)
        }
    }

    @Test("a lock keeps everyone else out as long as its owner lives")
    func lock() throws {
        try inScratch { path in
            let directory = try FileDescriptor.directory(path)
            let other = try FileDescriptor.open(path + "/lock", O_RDWR | O_CREAT, mode: 0o600)
            func locked() throws {
                let lock = try FileLock("lock", in: directory)
                #expect(errno { _ = try once { flock(other.raw, LOCK_EX | LOCK_NB) } } == .wouldBlock)
                withExtendedLifetime(lock) {}
            }
            try locked()
            #expect(flock(other.raw, LOCK_EX | LOCK_NB) == 0)
        }
    }
}

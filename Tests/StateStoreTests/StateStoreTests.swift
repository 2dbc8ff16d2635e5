import Glibc
import LinuxSys
import OCISpec
import StateStore
import Testing

/// A store in a directory of its own.
func inStore(_ body: (StateStore) throws -> Void) throws {
    try inScratch { try body(StateStore(root: $0 + "/root/of/all")) }
}

func id(_ text: String) throws -> ContainerID { try #require(ContainerID(text)) }

func sampleRecord(pid: Int32 = getpid(), startTime: UInt64? = nil) -> ContainerRecord {
    let start = startTime ?? Processes.startTime(of: pid) ?? 0
    var record = ContainerRecord(
        id: "c1", bundle: "/bundles/é", rootfs: "/bundles/é/rootfs", ociVersion: "1.0.2-dev",
        annotations: ["a.b/c": "d", "": "\n\"\u{1}"], status: .running, pid: pid,
        pidStartTime: start, created: "2026-01-01T00:00:00.000000001Z")
    record.supervisor = .init(pid: pid, startTime: start)
    return record
}

/// What `body` throws, if it is an error of the store.
func stateError(_ body: () throws -> Void) -> StateError? {
    do { try body() } catch { return error as? StateError }
    return nil
}

struct StateStoreTests {
    @Test("only one can have a name")
    func claim() throws {
        try inStore { store in
            let first = try id("c1")
            #expect(!store.exists(first))
            try store.claim(first)
            #expect(store.exists(first))
            #expect(stateError { try store.claim(first) } == .exists("c1"))
            #expect("\(StateError.exists("c1"))" == "container with given ID already exists: c1")
            try store.claim(try id("c2"))
            try store.remove(first)
            try store.claim(first)
        }
    }

    @Test("of many that want a name at the same moment one gets it")
    func race() async throws {
        let root = "/tmp/kvm-runtime-tests.\(getpid()).race"
        let store = StateStore(root: root)
        let name = try id("wanted")
        defer {
            try? store.remove(name)
            rmdir(root)
        }
        let winners = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 { group.addTask { (try? store.claim(name)) != nil } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(winners == 1)
    }

    @Test("what is written is read")
    func roundTrip() throws {
        try inStore { store in
            let name = try id("c1")
            try store.claim(name)
            var record = sampleRecord(startTime: .max)
            try store.write(record, of: name)
            #expect(try store.record(of: name) == record)
            record.status = .stopped
            record.exitCode = -1
            record.pid = .max
            record.processes = ["qemu": 12, "kvm-vmm": .max]
            try store.write(record, of: name)
            #expect(try store.record(of: name) == record)
            let spec = Array(#"{"a":1}"#.utf8)
            try store.write(spec: spec, of: name)
            #expect(try store.spec(of: name) == spec)
            #expect(try File.list(store.directory(of: name)).sorted() == ["config.json", "state.json"])
        }
    }

    @Test("room is kept for the records to come, and is no container's business")
    func room() throws {
        try inStore { store in
            let name = try id("c1")
            try store.claim(name)
            #expect(!store.releaseRoom(of: name))
            try store.write(sampleRecord(), of: name)
            try store.reserveRoom(for: sampleRecord(), of: name)
            let reserve = store.directory(of: name) + "/.reserve"
            #expect(try File.read(reserve, limit: 1 << 20).count >= sampleRecord().json.bytes().count + 4096)
            // What can be written without it is.
            try store.write(sampleRecord(), of: name)
            #expect(try store.record(of: name) == sampleRecord())
            #expect(store.releaseRoom(of: name))
            #expect(!store.releaseRoom(of: name))
        }
    }

    @Test("what is not there is missing")
    func missing() throws {
        try inStore { store in
            let name = try id("c1")
            #expect(stateError { _ = try store.record(of: name) } == .missing("c1"))
            #expect(try store.all() == [])
            // One that is only claimed has no state yet.
            try store.claim(name)
            #expect(stateError { _ = try store.record(of: name) } == .missing("c1"))
            #expect(stateError { _ = try store.spec(of: name) } == .missing("c1"))
            #expect("\(StateError.missing("c1"))" == "container does not exist: c1")
            let other = try id("c2")
            let expected = StateError.io(path: store.directory(of: other) + "/state.json", doing: "write", .noSuchFile)
            #expect(stateError { try store.write(sampleRecord(), of: other) } == expected)
            // Removing what is gone is no failure.
            try store.remove(other)
        }
    }

    @Test("containers are listed by name, and nothing else is")
    func list() throws {
        try inStore { store in
            for name in ["b", "a", "c.d"] { try store.claim(try id(name)) }
            _ = try once { mkdir(store.root + "/not a name", 0o700) }
            #expect(try store.all().map(\.text) == ["a", "b", "c.d"])
        }
    }

    @Test func rootIsNoDirectory() throws {
        try inScratch { path in
            _ = try FileDescriptor.open(path + "/file", O_WRONLY | O_CREAT, mode: 0o600)
            let store = StateStore(root: path + "/file")
            let name = try id("c1")
            #expect(
                stateError { try store.claim(name) }
                    == .io(path: path + "/file", doing: "make the directory", .notDirectory))
            #expect(stateError { _ = try store.all() } == .io(path: path + "/file", doing: "list", .notDirectory))
            #expect(stateError { _ = try store.record(of: name) }?.description.contains("can't read") == true)
        }
    }

    @Test("a container goes with all that is in its directory, and with nothing else")
    func remove() throws {
        try inStore { store in
            let name = try id("c1")
            try store.claim(name)
            let directory = store.directory(of: name)
            let outside = store.root + "/../outside"
            try File.makeDirectories(outside + "/inner", mode: 0o700)
            _ = try FileDescriptor.open(outside + "/file", O_WRONLY | O_CREAT, mode: 0o600)
            try File.makeDirectories(directory + "/share/a/b", mode: 0o700)
            for path in ["state.json", "share/a/file", "share/a/b/.hidden"] {
                _ = try FileDescriptor.open(directory + "/" + path, O_WRONLY | O_CREAT, mode: 0o600)
            }
            // Symlinks are removed themselves, wherever they point.
            _ = try once { symlink(outside, directory + "/to-directory") }
            _ = try once { symlink(outside + "/file", directory + "/share/to-file") }
            _ = try once { symlink("/nonexistent", directory + "/to-nowhere") }
            _ = try Sockets.listen(at: "control.sock", in: try FileDescriptor.directory(directory))
            try store.remove(name)
            #expect(!store.exists(name) && !File.exists(directory))
            #expect(try File.list(outside).sorted() == ["file", "inner"])
            #expect(try store.all() == [])
        }
    }
}

struct ContainerIDTests {
    @Test(arguments: ["a", "A-z_0.9+", "...", "-", ".hidden", String(repeating: "x", count: 255)])
    func allowed(text: String) { #expect(ContainerID(text)?.text == text) }

    @Test(arguments: [
        "", ".", "..", "a/b", "../a", "a b", "a\n", "a\0", "é", "a:b", "~", "*", "e\u{301}", "ａ",
        String(repeating: "x", count: 256),
    ])
    func refused(text: String) { #expect(ContainerID(text) == nil) }
}

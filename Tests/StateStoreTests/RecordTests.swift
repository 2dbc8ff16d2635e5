import Glibc
import LinuxSys
import OCISpec
import StateStore
import Testing

struct DamagedStateTests {
    /// A state file with one of its parts replaced.
    private func withState(_ old: String, _ new: String, _ body: (StateStore, ContainerID) throws -> Void) throws {
        try inStore { store in
            let name = try id("c1")
            try store.claim(name)
            try store.write(sampleRecord(pid: 77, startTime: 5), of: name)
            let path = store.directory(of: name) + "/state.json"
            let good = text(try File.read(path, limit: 1 << 20))
            let bad = good.replacing(old, with: new, maxReplacements: 1)
            try #require(bad != good, "\(old) is not in \(good)")
            try FileDescriptor.open(path, O_WRONLY | O_TRUNC).writeAll(Array(bad.utf8))
            try body(store, name)
        }
    }

    @Test(
        "a state file that can't be understood is damaged, and the field is named",
        arguments: [
            (#""version":2"#, #""version":3"#, "version: form 3 of the state is not known"),
            (#""version":2"#, #""version":"2""#, "version: expected an integer"),
            (#""version":2,"#, "", "version: is missing"),
            (#""pid":77"#, #""pid":3000000000"#, "pid: 3000000000 is out of range"),
            (#""pid":77"#, #""pid":1.5"#, "pid: expected an integer"),
            (#""pidStartTime":5"#, #""pidStartTime":-1"#, "pidStartTime: -1 is out of range"),
            (#""status":"running""#, #""status":"flying""#, "status: unknown status flying"),
            (#""processes":{}"#, #""processes":{"qemu":"x"}"#, "processes.qemu: expected an integer"),
            (#""processes":{}"#, #""processes":[]"#, "processes: expected an object"),
            (#""bundle":"/bundles/é""#, #""bundle":null"#, "bundle: is missing"), ("{", "[", "line 1"),
            ("{", "", "line 1"),
        ])
    func damaged(old: String, new: String, reason: String) throws {
        try withState(old, new) { store, name in
            guard case .damaged(let path, let said)? = stateError({ _ = try store.record(of: name) }) else {
                Issue.record("it was understood")
                return
            }
            #expect(path == store.directory(of: name) + "/state.json")
            #expect(said.hasPrefix(reason), "\(said)")
            #expect(StateError.damaged(path: path, reason: said).description.contains("delete --force"))
        }
    }

    @Test("every shorter file is damaged, also an empty one")
    func truncated() throws {
        try inStore { store in
            let name = try id("c1")
            try store.claim(name)
            try store.write(sampleRecord(), of: name)
            let path = store.directory(of: name) + "/state.json"
            let good = try File.read(path, limit: 1 << 20)
            for length in 0..<good.count {
                try FileDescriptor.open(path, O_WRONLY | O_TRUNC).writeAll(Array(good.prefix(length)))
                guard case .damaged? = stateError({ _ = try store.record(of: name) }) else {
                    Issue.record("\(length) bytes were understood")
                    return
                }
            }
        }
    }

    @Test("a file without end is not read")
    func endless() throws {
        try inStore { store in
            let name = try id("c1")
            try store.claim(name)
            let path = store.directory(of: name) + "/state.json"
            _ = try once { symlink("/dev/zero", path) }
            #expect(stateError { _ = try store.record(of: name) } == .io(path: path, doing: "read", .messageTooLong))
        }
    }

    @Test("unknown fields are left alone")
    func newer() throws {
        try withState(#""version":2"#, #""later":{"x":[]},"version":2"#) { store, name in
            let record = try store.record(of: name)
            #expect(record.pid == 77)
        }
    }
}

struct CurrentStatusTests {
    @Test("the status is what was written while the supervisor lives")
    func alive() {
        var record = sampleRecord()
        for status in State.Status.allCases {
            record.status = status
            #expect(record.supervisor.lives && record.currentStatus == status)
        }
    }

    @Test("a pid that nobody has, or that is no pid, is a container that stopped", arguments: [Int32.max, 0, -1, .min])
    func dead(pid: Int32) {
        let record = sampleRecord(pid: pid, startTime: 0)
        #expect(!record.supervisor.lives && record.currentStatus == .stopped)
    }

    @Test("with the supervisor gone, or the stand-in, it has stopped")
    func halfDead() {
        var record = sampleRecord()
        record.supervisor.pid = .max
        #expect(record.currentStatus == .stopped)
        record = sampleRecord()
        record.pid = .max
        #expect(record.currentStatus == .stopped)
    }

    @Test("a pid that was used again is not the supervisor")
    func reused() throws {
        let own = try #require(Processes.startTime(of: getpid()))
        for other in [own - 1, own + 1, 0, .max] {
            #expect(sampleRecord(startTime: other).currentStatus == .stopped)
        }
        #expect(sampleRecord(startTime: own).currentStatus == .running)
    }

    @Test("nor is a zombie")
    func zombie() throws {
        var pid: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("60"), nil]
        defer { for argument in arguments { free(argument) } }
        try #require(posix_spawn(&pid, "/bin/sleep", nil, nil, &arguments, nil) == 0)
        let record = sampleRecord(pid: pid)
        #expect(record.currentStatus == .running)
        let process = try ProcessDescriptor(pid: pid)
        try process.send(SIGKILL)
        let ended = process.waitForEnd(milliseconds: 10_000)
        #expect(ended)
        #expect(Processes.startTime(of: pid) == record.pidStartTime)
        #expect(record.currentStatus == .stopped)
        _ = try Processes.wait(pid)
        #expect(record.currentStatus == .stopped)
    }

    @Test("what `state` shows has no pid once the container has stopped")
    func publicState() {
        var record = sampleRecord()
        #expect(record.publicState["pid"] == .init(getpid()))
        #expect(record.publicState["status"]?.string == "running")
        #expect(record.publicState["annotations"]?["a.b/c"]?.string == "d")
        #expect(record.publicState["owner"]?.string == "")
        record.pidStartTime += 1
        #expect(record.publicState["pid"] == .init(0))
        #expect(record.publicState["status"]?.string == "stopped")
        record.annotations = [:]
        #expect(record.publicState["annotations"]?.string == nil && record.publicState["annotations"]?.kind == nil)
        #expect(record.publicState["rootfs"]?.string == "/bundles/é/rootfs")
    }
}

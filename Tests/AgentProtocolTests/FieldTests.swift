import AgentProtocol
import Testing

/// The limits and the rules of single fields.
struct FieldTests {
    private func text(_ count: Int) -> String { String(repeating: "x", count: count) }

    private func create(
        container: Int = 1, plan: Int = 1, tag: Int = 1, cgroup: Int = 1, depth: Int = 1, file: Int = 1,
        value: Int = 1, settings: Int = 1, devices: Int = 1, watched: Int = 1, joins: Int = 1, sockets: Int = 1,
        disks: Int = 1, disk: Int = 1
    ) -> Frame {
        HostMessage.create(
            CreateContainer(
                container: text(container), plan: [UInt8](repeating: 32, count: plan), shareTag: text(tag),
                cgroup: [String](repeating: text(cgroup), count: depth),
                settings: [CgroupSetting](repeating: CgroupSetting(text(file), text(value)), count: settings),
                deviceFilter: [UInt8](repeating: 1, count: devices),
                watched: [String](repeating: "w", count: watched),
                sockets: [SocketBind](repeating: SocketBind(mount: 0, mode: 0, uid: 0, gid: 0), count: sockets),
                joins: [NamespaceJoin](repeating: NamespaceJoin(container: "c", namespaces: 1), count: joins),
                disks: [GuestDisk](
                    repeating: GuestDisk(name: text(disk), type: "ext4", readOnly: true, overlay: false), count: disks),
                stdio: .pipes(stdin: nil, stdout: nil, stderr: nil))
        ).frame(request: 1)
    }

    private func refused(_ field: String, _ limit: Int, _ frame: (Int) -> Frame) {
        #expect(refusal(frame(limit)) == nil, "\(field) at its limit")
        #expect(refusal(frame(limit + 1)) == .tooLong(field: field, length: limit + 1, limit: limit))
    }

    @Test func limits() {
        refused("container", 1024) { create(container: $0) }
        refused("plan", 4 << 20) { create(plan: $0) }
        refused("shareTag", 36) { create(tag: $0) }
        refused("cgroup", 4096) { create(cgroup: $0) }
        refused("cgroup", 4096) { create(depth: $0) }
        refused("file", 255) { create(file: $0) }
        refused("value", 4096) { create(value: $0) }
        refused("settings", 4096) { create(settings: $0) }
        refused("watched", 4096) { create(watched: $0) }
        refused("deviceFilter", 32 << 10) { create(devices: $0) }
        refused("sockets", 4096) { create(sockets: $0) }
        refused("joins", 16) { create(joins: $0) }
        refused("disks", 16) { create(disks: $0) }
        refused("disk", 20) { create(disk: $0) }
        refused("container", 1024) { HostMessage.start(container: text($0)).frame(request: 1) }
        refused("container", 1024) {
            HostMessage.signal(SendSignal(process: ProcessName(text($0)), signal: 1, all: false)).frame(request: 1)
        }
        refused("container", 1024) {
            HostMessage.resize(ResizeTerminal(process: ProcessName(text($0)), rows: 1, columns: 1)).frame(request: 1)
        }
        refused("container", 1024) { HostMessage.freeze(container: text($0), frozen: true).frame(request: 1) }
        refused("plan", 4 << 20) {
            let stdio = Stdio.pipes(stdin: nil, stdout: nil, stderr: nil)
            let plan = [UInt8](repeating: 1, count: $0)
            return HostMessage.exec(ExecProcess(process: ProcessName("c"), plan: plan, stdio: stdio)).frame(request: 1)
        }
        refused("passed", 60) {
            HostMessage.exec(
                ExecProcess(
                    process: ProcessName("c"), plan: [], stdio: .pipes(stdin: nil, stdout: nil, stderr: nil),
                    passed: [PassedDescriptor](repeating: .device(.null), count: $0))
            ).frame(request: 1)
        }
        refused("files", 4096) {
            HostMessage.readCgroup(container: "c", files: [String](repeating: "f", count: $0)).frame(request: 1)
        }
        refused("processes", 4096) {
            let entry = ProcessEntry(pid: 1, uid: 1, stat: [], commandLine: [])
            return GuestMessage.processes([ProcessEntry](repeating: entry, count: $0)).frame(request: 1)
        }
        refused("stat", 4096) {
            let stat = [UInt8](repeating: 1, count: $0)
            return GuestMessage.processes([ProcessEntry(pid: 1, uid: 1, stat: stat, commandLine: [])]).frame(request: 1)
        }
        refused("bytes", 64 << 10) {
            let bytes = [UInt8](repeating: 1, count: $0)
            return GuestMessage.contents([FileContents(file: "f", bytes: bytes)]).frame(request: 1)
        }
        refused("seed", 256) {
            HostMessage.welcome(Welcome(realtime: 0, seed: [UInt8](repeating: 1, count: $0))).frame(request: 0)
        }
        refused("kernel", 256) {
            GuestMessage.hello(Hello(kernel: text($0), uptime: 0)).frame(request: 0)
        }
        refused("container", 1024) {
            let exit = ProcessExit(process: ProcessName(text($0)), signal: nil, code: 0, oomKilled: false)
            return GuestMessage.exited(exit).frame(request: 0)
        }
    }

    @Test("an endless reason is cut where it is written, and refused where it is read")
    func message() throws {
        let frame = GuestMessage.failed(Failure(kind: .guest, message: text(5000))).frame(request: 1)
        #expect(try GuestMessage(frame) == .failed(Failure(kind: .guest, message: text(4096))))
        var writer = WireWriter()
        writer.put(UInt8(2))
        writer.put(text(4097))
        let long = Frame(request: 1, kind: frame.kind, payload: writer.bytes)
        #expect(refusal(long) == .tooLong(field: "message", length: 4097, limit: 4096))
    }

    @Test("a reason that was cut in the middle of a character, or is no text at all, is repaired")
    func brokenMessage() throws {
        let cut = GuestMessage.failed(Failure(kind: .guest, message: "x" + String(repeating: "é", count: 3000)))
        guard case .failed(let failure) = try GuestMessage(cut.frame(request: 1)) else {
            Issue.record("no failure")
            return
        }
        #expect(failure.message == "x" + String(repeating: "é", count: 2047) + "\u{FFFD}")
    }

    @Test("a length is compared with its limit before anything is taken", arguments: [UInt32.max, 1 << 31, 4097])
    func statedLength(length: UInt32) {
        var writer = WireWriter()
        writer.put(length)
        var reader = WireReader(writer.bytes[...])
        #expect(throws: WireError.tooLong(field: "f", length: Int(length), limit: 4096)) { try reader.text("f") }
        var counter = WireReader(writer.bytes[...])
        #expect(throws: WireError.tooLong(field: "f", length: Int(length), limit: 4096)) { try counter.count("f") }
    }

    @Test(
        "text is UTF-8 without NUL",
        arguments: [
            [0], [97, 0], [0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x80],
        ] as [[UInt8]])
    func badText(bytes: [UInt8]) {
        var writer = WireWriter()
        writer.put(bytes)
        #expect(refusal(Frame(request: 0, kind: 3, payload: writer.bytes)) == .badText(field: "container"))
    }

    @Test("a flag is 0 or 1, a signal 1 to 64, a choice one that exists")
    func values() {
        func signal(_ number: UInt8, _ all: UInt8) -> WireError? {
            refusal(Frame(request: 0, kind: 4, payload: [1, 0, 0, 0, 97, 0, 0, 0, 0, number, all]))
        }
        #expect(signal(1, 0) == nil && signal(64, 1) == nil)
        #expect(signal(0, 0) == .badValue(field: "signal") && signal(65, 0) == .badValue(field: "signal"))
        #expect(signal(9, 2) == .badValue(field: "all"))
        func exited(_ rest: [UInt8]) -> WireError? {
            refusal(Frame(request: 0, kind: 133, payload: [0, 0, 0, 0, 0, 0, 0, 0] + rest))
        }
        #expect(exited([0, 7, 0]) == nil && exited([1, 64, 7, 1]) == nil)
        #expect(
            exited([1, 0, 7, 1]) == .badValue(field: "signal") && exited([1, 65, 7, 1]) == .badValue(field: "signal"))
        #expect(
            exited([2, 9, 7, 1]) == .badValue(field: "signal") && exited([0, 7, 255]) == .badValue(field: "oomKilled"))
        for kind in UInt8.min ... .max {
            let failure = refusal(Frame(request: 0, kind: 132, payload: [kind, 0, 0, 0, 0]))
            #expect(failure == ((1...5).contains(kind) ? nil : .badValue(field: "failure")))
        }
        var stdio = create().payload
        // Behind it is the number of descriptors that are passed, 0.
        stdio[stdio.count - 8] = 2
        #expect(refusal(Frame(request: 0, kind: 2, payload: stdio)) == .badValue(field: "stdio"))
    }

    @Test("what is passed is a kind that exists, a name without a way out, and flags that a file may have")
    func passed() {
        func exec(_ rest: [UInt8], cgroup: [UInt8] = [0, 0, 0, 0]) -> WireError? {
            let process: [UInt8] = [0, 0, 0, 0, 1, 0, 0, 0] + [0, 0, 0, 0] + [0, 0, 0, 0]
            return refusal(Frame(request: 0, kind: 9, payload: process + [1, 0, 0, 0] + rest + cgroup))
        }
        func file(_ name: String, flags: UInt8 = 0) -> [UInt8] {
            [5, UInt8(name.utf8.count), 0, 0, 0] + Array(name.utf8) + [flags, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        }
        #expect(exec(file("fd-1")) == nil)
        for name in ["", ".", "..", "a/b", "/"] { #expect(exec(file(name)) == .badValue(field: "passed.file")) }
        // O_CREAT
        #expect(exec(file("fd-1", flags: 0o100)) == .badValue(field: "passed.file"))
        #expect(exec([6, 1]) == nil && exec([6, 0]) == .badValue(field: "passed.device"))
        #expect(exec([6, 6]) == .badValue(field: "passed.device") && exec([7, 1]) == .badValue(field: "passed"))
        #expect(exec([6, 1], cgroup: [1, 0, 0, 0, 2, 0, 0, 0, 46, 46]) == .badValue(field: "cgroup"))
    }

    @Test("a text for C has one zero, behind it")
    func terminated() throws {
        var writer = WireWriter()
        writer.put(UInt8(9))
        writer.put(terminated: "ab")
        writer.put(terminated: "")
        #expect(writer.bytes == [9, 2, 0, 0, 0, 97, 98, 0, 0, 0, 0, 0, 0])
        var reader = WireReader(writer.bytes[...])
        _ = try reader.integer(UInt8.self)
        #expect(try reader.terminated("f") == 5)
        #expect(try reader.terminated("f") == 12)
        try reader.finish()
        for (bytes, error) in [
            ([1, 0, 0, 0, 97], WireError.truncated), ([1, 0, 0, 0, 97, 98], .badText(field: "f")),
            ([1, 0, 0, 0, 0, 0], .badText(field: "f")), ([0, 0, 0, 0, 1], .badText(field: "f")),
            ([255, 255, 255, 255], .tooLong(field: "f", length: 0xFFFF_FFFF, limit: 4096)),
        ] as [([UInt8], WireError)] {
            var reader = WireReader(bytes[...])
            #expect(throws: error) { try reader.terminated("f") }
        }
    }

    @Test func integers() throws {
        var writer = WireWriter()
        writer.put(UInt16(0x0102))
        writer.put(Int32(-2))
        writer.put(UInt64.max - 1)
        writer.put(UInt8?.none)
        writer.put(UInt8?.some(5))
        #expect(writer.bytes.prefix(6) == [2, 1, 254, 255, 255, 255])
        var reader = WireReader(writer.bytes[...])
        #expect(try reader.integer(UInt16.self) == 0x0102)
        #expect(try reader.integer(Int32.self) == -2)
        #expect(try reader.integer(UInt64.self) == .max - 1)
        #expect(try reader.optional("a", UInt8.self) == nil)
        #expect(try reader.optional("b", UInt8.self) == 5)
        try reader.finish()
        #expect(throws: WireError.truncated) { try reader.integer(UInt8.self) }
    }
}
